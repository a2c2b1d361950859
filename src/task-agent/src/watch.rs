//! Watches over a task's steps and processes, and leaves none of them behind.

use crate::{
    bell::Bell,
    children::Children,
    control::{Control, GRACE},
};
use protocol::status::Outcome;
use sandbox::{contain::Descendants, identity::has_children, own::ChildSignals, packet::readable};
use std::{
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// How long processes that a job left behind have to go by themselves.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
/// How long a step of ours, that has no process, has to notice that the task is being ended.
const NOTICE: Duration = Duration::from_secs(2);
/// How long the kernel has to carry out a kill. Longer only waits what waits for a disk that is gone.
const KILL: Duration = Duration::from_secs(10);

/// What the main thread does while another runs the steps.
#[derive(Debug)]
pub(crate) struct Watch<'w> {
    pub(crate) signals: &'w ChildSignals,
    pub(crate) control: &'w Control,
    pub(crate) children: &'w Children,
    /// Rung when the steps are done.
    pub(crate) finished: &'w Bell,
    /// `max_run_time` is over.
    pub(crate) deadline: Option<Instant>,
}

impl Watch<'_> {
    /// Returns when the steps are done or the task is to be ended.
    pub(crate) fn until_over(&self) -> io::Result<()> {
        while !self.control.is_ending() && !self.is_finished()? {
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                self.control.end(Outcome::Timedout, GRACE);
            }
            self.pass(left, &[self.finished])?;
        }
        Ok(())
    }

    /// Ends every process of the task: TERM, the time the ending says, KILL.
    pub(crate) fn end_all(&self) -> io::Result<()> {
        if !self.control.is_ending() && !self.is_left_behind() {
            return Ok(());
        }
        let all = Descendants::of_own()?;
        all.terminate();
        let begin = Instant::now();
        loop {
            let (children, finished) = (self.is_left_behind(), self.is_finished()?);
            let left = self.time_to_go(begin, children).saturating_duration_since(Instant::now());
            if (finished && !children) || left.is_zero() {
                break;
            }
            let bells = [self.finished];
            self.pass(Some(left), if finished { &[] } else { &bells })?;
        }
        if let Err(survivors) = all.kill(KILL) {
            eprintln!("roundhouse-task-agent: {survivors}");
        }
        self.children.reap();
        Ok(())
    }

    /// Gives the steps, whose processes are all gone, a moment to write their last lines.
    pub(crate) fn last_words(&self, are_written: impl Fn() -> bool) -> io::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < NOTICE && !(are_written() && self.is_finished()?) {
            self.pass(Some(Duration::from_millis(2)), &[])?;
        }
        Ok(())
    }

    /// When the waiting for processes, or for steps without any, is over.
    fn time_to_go(&self, begin: Instant, children: bool) -> Instant {
        match self.control.ending() {
            None => begin + LEFT_BEHIND,
            Some(ending) if children => ending.kill_at,
            Some(ending) => ending.kill_at.min(begin + NOTICE),
        }
    }

    fn is_left_behind(&self) -> bool {
        self.children.reap();
        has_children()
    }

    fn is_finished(&self) -> io::Result<bool> {
        Ok(readable(&[self.finished.as_fd()], Some(Duration::ZERO))?[0])
    }

    /// Waits until a child ends, an order comes, a bell rings or the time is over.
    fn pass(&self, time: Option<Duration>, bells: &[&Bell]) -> io::Result<()> {
        let mut descriptors = vec![self.signals.as_fd(), self.control.bell.as_fd()];
        descriptors.extend(bells.iter().map(|bell| bell.as_fd()));
        readable(&descriptors, time)?;
        self.signals.clear()?;
        self.control.bell.clear();
        self.children.reap();
        Ok(())
    }
}
