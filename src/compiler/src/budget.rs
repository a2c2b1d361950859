//! How much a configuration may become, so that no text is worth more work than it can be meant to.

use std::cell::Cell;

/// How many nodes are looked at, every use of a job, command or executor counted.
const MAX_NODES: usize = 2_000_000;

/// How many bytes of text they may have, every use counted.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// What is left of the work that a configuration is worth.
#[derive(Debug)]
pub(crate) struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: Cell::new(MAX_NODES), bytes: Cell::new(MAX_BYTES) }
    }
}

impl Budget {
    /// Whether nothing is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.nodes.get() == 0
    }

    /// Takes one node with so many bytes of text; false once nothing is left.
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        match (self.nodes.get().checked_sub(1), self.bytes.get().checked_sub(bytes)) {
            (Some(nodes), Some(left)) => {
                self.nodes.set(nodes);
                self.bytes.set(left);
                true
            }
            _ => {
                self.nodes.set(0);
                false
            }
        }
    }
}
