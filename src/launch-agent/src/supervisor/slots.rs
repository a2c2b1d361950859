//! Who may run how much: the host's slots, lent to Pollers before they claim, so that two tokens never overclaim. Pure.

use std::collections::BTreeSet;

/// The slots of a host and of each of its classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    total: usize,
    taken: BTreeSet<usize>,
    classes: Vec<Class>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Class {
    limit: usize,
    lent: usize,
    running: usize,
    /// Whether its Poller waits to be lent slots.
    ready: bool,
}

impl Slots {
    /// So many at once on the host, and of each class.
    pub(crate) fn new(total: usize, limits: impl IntoIterator<Item = Option<usize>>) -> Self {
        let class =
            |limit: Option<usize>| Class { limit: limit.unwrap_or(total), lent: 0, running: 0, ready: true };
        Self { total, taken: BTreeSet::new(), classes: limits.into_iter().map(class).collect() }
    }

    /// All slots.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Those with a task.
    pub(crate) fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Those lent to the Poller of this class.
    pub(crate) fn lent(&self, class: usize) -> usize {
        self.classes[class].lent
    }

    /// Lends what is free to those Pollers that wait for it, in equal shares: who gets how many.
    pub(crate) fn lend(&mut self) -> Vec<(usize, usize)> {
        let mut loans = Vec::new();
        let waiting: Vec<usize> =
            (0..self.classes.len()).filter(|class| self.could_use(*class) > 0).collect();
        for (place, class) in waiting.iter().enumerate() {
            let share = self.free().div_ceil(waiting.len() - place);
            let loan = share.min(self.could_use(*class));
            if loan > 0 {
                let class_slots = &mut self.classes[*class];
                (class_slots.lent, class_slots.ready) = (loan, false);
                loans.push((*class, loan));
            }
        }
        loans
    }

    /// A Poller gives back what it was lent.
    pub(crate) fn give_back(&mut self, class: usize) {
        self.classes[class].lent = 0;
    }

    /// A Poller could use slots.
    pub(crate) fn ready(&mut self, class: usize) {
        self.classes[class].ready = true;
    }

    /// A task takes the lowest slot. One too many is taken all the same: the control plane gave it.
    pub(crate) fn take(&mut self, class: Option<usize>) -> usize {
        let slot = (0..).find(|slot| !self.taken.contains(slot)).expect("numbers do not end");
        self.take_again(slot, class);
        slot
    }

    /// A task of an earlier life has this slot.
    pub(crate) fn take_again(&mut self, slot: usize, class: Option<usize>) {
        self.taken.insert(slot);
        if let Some(class) = class {
            self.classes[class].running += 1;
        }
    }

    /// A task is over.
    pub(crate) fn release(&mut self, slot: usize, class: Option<usize>) {
        self.taken.remove(&slot);
        if let Some(class) = class {
            self.classes[class].running -= 1;
        }
    }

    /// Whether more than one Poller competes for the slots.
    pub(crate) fn are_shared(&self) -> bool {
        self.classes.len() > 1
    }

    fn free(&self) -> usize {
        let lent: usize = self.classes.iter().map(|class| class.lent).sum();
        self.total.saturating_sub(self.taken.len() + lent)
    }

    fn could_use(&self, class: usize) -> usize {
        let Class { limit, running, ready, .. } = &self.classes[class];
        if *ready { limit.saturating_sub(*running).min(self.free()) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_gets_all_slots_and_two_share_them() {
        assert_eq!(Slots::new(8, [None]).lend(), [(0, 8)]);
        assert_eq!(Slots::new(8, [None, None]).lend(), [(0, 4), (1, 4)]);
        assert_eq!(Slots::new(8, [Some(1), None]).lend(), [(0, 1), (1, 7)]);
        assert_eq!(Slots::new(1, [None, None]).lend(), [(0, 1)]);
    }

    #[test]
    fn a_class_never_runs_more_than_its_limit() {
        let mut slots = Slots::new(8, [Some(2)]);
        assert_eq!(slots.lend(), [(0, 2)]);
        slots.give_back(0);
        slots.take(Some(0));
        slots.ready(0);
        assert_eq!(slots.lend(), [(0, 1)]);
    }

    #[test]
    fn the_lowest_free_slot_is_taken() {
        let mut slots = Slots::new(3, [None]);
        assert_eq!([slots.take(Some(0)), slots.take(Some(0)), slots.take(Some(0))], [0, 1, 2]);
        slots.release(1, Some(0));
        assert_eq!(slots.take(Some(0)), 1);
    }

    proptest::proptest! {
        #[test]
        fn lent_and_taken_are_never_more_than_there_are(
            total in 0_usize..6,
            limits in proptest::collection::vec(proptest::option::of(0_usize..4), 1..4),
            steps in proptest::collection::vec((0_u8..4, 0_usize..4), 0..60),
        ) {
            let classes = limits.len();
            let mut slots = Slots::new(total, limits.clone());
            let mut tasks: Vec<(usize, usize)> = Vec::new();
            for (what, which) in steps {
                let class = which % classes;
                match what {
                    0 => drop(slots.lend()),
                    1 if slots.lent(class) > 0 => {
                        let claimed = which.min(slots.lent(class));
                        slots.give_back(class);
                        tasks.extend((0..claimed).map(|_| (slots.take(Some(class)), class)));
                    }
                    2 if slots.lent(class) == 0 => slots.ready(class),
                    3 if !tasks.is_empty() => {
                        let (slot, class) = tasks.swap_remove(which % tasks.len());
                        slots.release(slot, Some(class));
                    }
                    _ => {}
                }
                let lent: usize = (0..classes).map(|class| slots.lent(class)).sum();
                proptest::prop_assert!(lent + slots.taken() <= total);
                for (class, limit) in limits.iter().enumerate() {
                    let running = tasks.iter().filter(|(_, of)| *of == class).count();
                    proptest::prop_assert!(running + slots.lent(class) <= limit.unwrap_or(total));
                }
            }
        }
    }
}
