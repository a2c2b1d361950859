//! The task on its way in: the spec first, then a spool for each step. Only the whole of it counts.

use crate::{spool::Spools, times::Times};
use protocol::{ids::StepNumber, task::TaskSpec};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::OwnedFd,
    sync::Arc,
};

/// The largest spec that is read, in bytes.
const MOST_SPEC: u64 = 64 * 1024 * 1024;

/// A task, whole.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) spec: TaskSpec,
    pub(crate) journal: File,
    pub(crate) tree: Option<OwnedFd>,
    pub(crate) spools: Arc<Spools>,
}

/// A task that is not whole yet.
#[derive(Debug)]
pub(super) struct Arriving {
    spec: TaskSpec,
    journal: File,
    tree: Option<OwnedFd>,
    spools: Vec<File>,
    times: Option<File>,
}

/// A task that cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    /// There are too few descriptors beside the frame.
    #[error("the launch-agent sent {0} descriptors with the task: the spec and the journal are wanted")]
    Descriptors(usize),
    /// The spec cannot be read.
    #[error("cannot read the task: {0}")]
    Read(#[from] io::Error),
    /// The spec is no spec.
    #[error("the task is none that this task-agent understands: {0}")]
    Spec(#[from] serde_json::Error),
    /// Spools came before the task, or not in the order of their steps.
    #[error("the launch-agent sent the logs from step {0} on, which is not the next")]
    Order(u32),
}

impl Arriving {
    /// From the descriptors beside the frame: spec, journal, and the tree if there is one.
    pub(super) fn begin(descriptors: Vec<OwnedFd>) -> Result<Self, DeliveryError> {
        let count = descriptors.len();
        let mut descriptors = descriptors.into_iter();
        let (Some(spec), Some(journal)) = (descriptors.next(), descriptors.next()) else {
            return Err(DeliveryError::Descriptors(count));
        };
        let spec = read_spec(spec.into())?;
        let spools = Vec::with_capacity(spec.steps.len());
        Ok(Self { spec, journal: journal.into(), tree: descriptors.next(), spools, times: None })
    }

    pub(super) fn is_whole(&self) -> bool {
        self.spools.len() >= self.spec.steps.len()
    }

    pub(super) fn deliver(self, make: impl FnOnce(Vec<File>) -> Spools) -> Delivered {
        let Self { spec, journal, tree, spools, times } = self;
        Delivered { spec, journal, tree, spools: Arc::new(make(spools).timed(Times::new(times))) }
    }

    pub(super) fn take_times(&mut self, file: Option<File>) {
        self.times = file;
    }

    pub(super) fn take_spools(
        &mut self,
        first: StepNumber,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), DeliveryError> {
        if first.0 as usize != self.spools.len() + 1 {
            return Err(DeliveryError::Order(first.0));
        }
        self.spools.extend(descriptors.into_iter().map(File::from));
        Ok(())
    }
}

/// From its start, wherever somebody else's reading left the shared position.
fn read_spec(mut file: File) -> Result<TaskSpec, DeliveryError> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(MOST_SPEC).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        tempfile::tempfile().unwrap().into()
    }

    #[test]
    fn a_task_without_a_journal_or_with_a_foreign_spec_is_refused() {
        assert!(matches!(Arriving::begin(vec![file()]), Err(DeliveryError::Descriptors(1))));
        let foreign = sandbox::memory::sealed("spec", b"{\"task\": 7}").unwrap();
        assert!(matches!(Arriving::begin(vec![foreign, file()]), Err(DeliveryError::Spec(_))));
    }
}
