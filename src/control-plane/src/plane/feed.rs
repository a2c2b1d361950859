//! The feeds of running pipelines: what their followers are told, kept in memory for one life.

use protocol::{
    PipelineId, StepNumber, TaskId,
    feed::{Feed, News},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;

/// The most news of one pipeline; a follower that is further behind begins again from a fresh view.
const MOST_NEWS: usize = 65_536;
/// The most news of one answer.
const MOST_AT_ONCE: usize = 4096;
/// The most pipelines whose feeds are kept, and the most news of all of them together: the one that was quiet for
/// longest is forgotten first.
const MOST_FEEDS: usize = 1024;
const MOST_OF_ALL: usize = 512 * 1024;

/// The feeds of all pipelines.
#[derive(Debug)]
pub(crate) struct Feeds {
    lives: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The number of the next piece of news of any feed: no number ever stands for two, so that a reader's place in a
    /// feed that is gone is none in the one that follows it.
    number: u64,
    feeds: HashMap<PipelineId, Ring>,
    /// By their last news, the newest at the end.
    order: VecDeque<PipelineId>,
    /// News of all feeds.
    news: usize,
}

#[derive(Debug)]
struct Ring {
    life: u64,
    /// Above every place in an earlier life.
    first: u64,
    next: u64,
    news: BTreeMap<u64, News>,
    /// Where the last growth of each log stands: a newer one replaces it.
    growths: HashMap<(TaskId, StepNumber), u64>,
    changed: watch::Sender<()>,
}

impl Feeds {
    /// No feeds yet. `origin` tells this process's lives from those of others.
    pub(crate) fn new(origin: u64) -> Self {
        // More than news ever come in a millisecond.
        let number = origin.saturating_mul(1000);
        let inner = Inner { number, feeds: HashMap::new(), order: VecDeque::new(), news: 0 };
        Self { lives: AtomicU64::new(origin), inner: Mutex::new(inner) }
    }

    /// Lets a pipeline's followers begin again from a fresh view.
    pub(crate) fn renew(&self, pipeline: PipelineId) {
        let mut inner = self.lock();
        inner.order.retain(|other| *other != pipeline);
        let gone = inner.feeds.remove(&pipeline);
        inner.news -= gone.map_or(0, |ring| ring.news.len());
    }

    /// Tells news of a pipeline.
    pub(crate) fn publish(&self, pipeline: PipelineId, news: Vec<News>) {
        if news.is_empty() {
            return;
        }
        let mut inner = self.lock();
        inner.touch(pipeline);
        let Inner { feeds, number, news: all, .. } = &mut *inner;
        let ring = feeds.entry(pipeline).or_insert_with(|| Ring::new(self.next_life(), number));
        let before = ring.news.len();
        ring.push(news, number, || self.next_life());
        *all = *all + ring.news.len() - before;
        inner.make_room();
    }

    /// What came after, and how to hear of more. None for the latter where `after` is a place in another life: that is
    /// news as well.
    pub(crate) fn read(&self, pipeline: PipelineId, after: u64) -> (Feed, Option<watch::Receiver<()>>) {
        let mut inner = self.lock();
        if !inner.feeds.contains_key(&pipeline) {
            inner.touch(pipeline);
            inner.make_room();
        }
        let Inner { feeds, number, .. } = &mut *inner;
        let ring = feeds.entry(pipeline).or_insert_with(|| Ring::new(self.next_life(), number));
        let is_known = after == 0 || (ring.first..=ring.next).contains(&after);
        (ring.read(after), is_known.then(|| ring.changed.subscribe()))
    }

    fn next_life(&self) -> u64 {
        self.lives.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Makes a pipeline the one with the newest news.
    fn touch(&mut self, pipeline: PipelineId) {
        if self.order.back() != Some(&pipeline) {
            self.order.retain(|other| *other != pipeline);
            self.order.push_back(pipeline);
        }
    }

    fn make_room(&mut self) {
        while self.order.len() > 1 && (self.order.len() > MOST_FEEDS || self.news > MOST_OF_ALL) {
            let quiet = self.order.pop_front().and_then(|oldest| self.feeds.remove(&oldest));
            self.news -= quiet.map_or(0, |ring| ring.news.len());
        }
    }
}

impl Ring {
    fn new(life: u64, number: &mut u64) -> Self {
        *number += 1;
        let (first, next, news, growths) = (*number, *number, BTreeMap::new(), HashMap::new());
        Self { life, first, next, news, growths, changed: watch::Sender::new(()) }
    }

    fn push(&mut self, news: Vec<News>, number: &mut u64, new_life: impl FnOnce() -> u64) {
        if self.news.len() + news.len() > MOST_NEWS {
            self.life = new_life();
            *number += 1;
            self.first = *number;
            self.news.clear();
            self.growths.clear();
        }
        for piece in news {
            if let News::LogGrew { task, step, .. } = piece
                && let Some(older) = self.growths.insert((task, step), *number)
            {
                self.news.remove(&older);
            }
            self.news.insert(*number, piece);
            *number += 1;
        }
        self.next = *number;
        self.changed.send_replace(());
    }

    /// `after` counts as `Feed::next` does: the first of the news that the reader has not seen; 0 for all.
    fn read(&self, after: u64) -> Feed {
        let news: Vec<_> = self.news.range(after..).take(MOST_AT_ONCE).collect();
        let next = match news.last() {
            Some((last, _)) if news.len() == MOST_AT_ONCE => **last + 1,
            _ => self.next,
        };
        Feed { life: self.life, next, news: news.into_iter().map(|(_, piece)| piece.clone()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const PIPELINE: PipelineId = PipelineId(Uuid::from_u128(1));

    fn grew(length: u64) -> News {
        News::LogGrew { task: TaskId(Uuid::from_u128(2)), step: StepNumber(1), length }
    }

    fn workflow() -> News {
        News::Workflow { workflow: 0, status: protocol::WorkflowStatus::Failing }
    }

    #[test]
    fn a_reader_gets_what_it_has_not_seen() {
        let feeds = Feeds::new(7);
        feeds.publish(PIPELINE, vec![workflow()]);
        let (first, _) = feeds.read(PIPELINE, 0);
        assert_eq!((first.life, first.news.len()), (7, 1));
        assert!(feeds.read(PIPELINE, first.next).0.news.is_empty());
    }

    #[test]
    fn growths_of_one_log_are_told_as_one() {
        let feeds = Feeds::new(7);
        feeds.publish(PIPELINE, vec![grew(1), workflow(), grew(2)]);
        let (all, _) = feeds.read(PIPELINE, 0);
        assert_eq!(all.news, vec![workflow(), grew(2)]);
        assert_eq!(feeds.read(PIPELINE, all.next - 1).0.news, vec![grew(2)]);
    }

    #[test]
    fn a_feed_that_overflows_begins_another_life() {
        let feeds = Feeds::new(7);
        feeds.publish(PIPELINE, vec![workflow(); MOST_NEWS]);
        feeds.publish(PIPELINE, vec![workflow()]);
        let (feed, _) = feeds.read(PIPELINE, 0);
        assert_eq!((feed.life, feed.news.len()), (8, 1));
    }

    #[test]
    fn the_feed_that_was_quiet_for_longest_is_forgotten_first() {
        let feeds = Feeds::new(0);
        let pipeline = |number| PipelineId(Uuid::from_u128(number));
        let life = |number| feeds.read(pipeline(number), 0).0.life;
        (0..9).for_each(|number| feeds.publish(pipeline(number), vec![workflow(); MOST_NEWS]));
        assert!(feeds.lock().news <= MOST_OF_ALL);
        assert!(life(0) > 8, "forgotten, so another life");
        assert_eq!(life(8), 8);
    }

    #[test]
    fn a_reader_hears_of_news() {
        let feeds = Feeds::new(7);
        let changed = feeds.read(PIPELINE, 0).1.unwrap();
        assert!(!changed.has_changed().unwrap());
        feeds.publish(PIPELINE, vec![workflow()]);
        assert!(changed.has_changed().unwrap());
    }

    #[test]
    fn a_place_in_another_life_is_never_waited_at() {
        let (feeds, later) = (Feeds::new(7), Feeds::new(8));
        feeds.publish(PIPELINE, vec![workflow()]);
        let place = feeds.read(PIPELINE, 0).0.next;
        assert!(feeds.read(PIPELINE, place).1.is_some());
        feeds.renew(PIPELINE);
        let (renewed, waits) = feeds.read(PIPELINE, place);
        assert!(waits.is_none() && renewed.life == 8 && renewed.news.is_empty());
        later.publish(PIPELINE, vec![workflow()]);
        assert!(later.read(PIPELINE, place).1.is_none(), "after a restart");
    }
}
