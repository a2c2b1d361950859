//! Turns: what webhooks tell of one branch or tag takes effect in the order in which it came, however long each fetch takes.

use futures_util::{
    FutureExt,
    future::{BoxFuture, MaybeDone, maybe_done},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use store::ProjectId;
use tokio::{
    sync::{Mutex as Line, OwnedMutexGuard},
    task::unconstrained,
};

/// By project and reference, those who wait for their turn.
type Lines = HashMap<(i64, Option<String>), Weak<Line<()>>>;

/// The lines in which somebody stands.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Lines>);

/// A place in a line, until this is dropped.
pub(crate) struct Turn(MaybeDone<BoxFuture<'static, OwnedMutexGuard<()>>>);

impl Turns {
    /// Places for the references of one webhook. All at once, so that no two webhooks stand before each other.
    pub(crate) fn take(
        &self,
        project: ProjectId,
        references: impl IntoIterator<Item = Option<String>>,
    ) -> Vec<Turn> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| line.strong_count() > 0);
        references.into_iter().map(|reference| Turn::of(line(&mut lines, (project.0, reference)))).collect()
    }
}

fn line(lines: &mut Lines, key: (i64, Option<String>)) -> Arc<Line<()>> {
    let known = lines.get(&key).and_then(Weak::upgrade);
    known.unwrap_or_else(|| {
        let line = Arc::default();
        lines.insert(key, Arc::downgrade(&line));
        line
    })
}

impl Turn {
    fn of(line: Arc<Line<()>>) -> Self {
        // Who was polled once stands in line, unless the task was out of what tokio lets it do at once.
        let mut turn = Self(maybe_done(unconstrained(line.lock_owned()).boxed()));
        let _ = (&mut turn.0).now_or_never();
        turn
    }

    /// Waits until it has come.
    pub(crate) async fn come(&mut self) {
        (&mut self.0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(turns: &Turns, references: &[&str]) -> Vec<Turn> {
        turns.take(ProjectId(1), references.iter().map(|reference| Some((*reference).to_owned())))
    }

    fn has_come(turn: &mut Turn) -> bool {
        turn.come().now_or_never().is_some()
    }

    #[test]
    fn turns_come_in_the_order_in_which_they_were_taken_whoever_asks_first() {
        let turns = Turns::default();
        let mut all: Vec<_> = (0..3).flat_map(|_| take(&turns, &["main"])).collect();
        assert!(!has_come(&mut all[2]) && !has_come(&mut all[1]) && has_come(&mut all[0]));
        drop(all.remove(0));
        assert!(!has_come(&mut all[1]) && has_come(&mut all[0]));
        assert!(has_come(&mut take(&turns, &["other"])[0]), "another branch waits for nobody");
        assert!(has_come(&mut turns.take(ProjectId(2), [Some("main".to_owned())])[0]));
    }

    #[test]
    fn who_leaves_a_line_lets_nobody_go_before_those_who_were_there_earlier() {
        let turns = Turns::default();
        let [first, second, mut third] = [0; 3].map(|_| take(&turns, &["main"]).remove(0));
        drop(second);
        assert!(!has_come(&mut third));
        drop(first);
        assert!(has_come(&mut third));
    }

    #[test]
    fn a_webhook_that_tells_of_one_branch_twice_waits_for_itself_alone() {
        let turns = Turns::default();
        let (mine, mut theirs) = (take(&turns, &["a", "b", "a"]), take(&turns, &["b", "a"]));
        for mut turn in mine {
            assert!(has_come(&mut turn));
        }
        assert!(theirs.iter_mut().all(has_come));
    }

    #[test]
    fn lines_in_which_nobody_stands_are_not_kept() {
        let turns = Turns::default();
        let waits = take(&turns, &["main"]);
        drop(take(&turns, &["a", "b", "main"]));
        drop(take(&turns, &["c"]));
        assert_eq!(turns.0.lock().unwrap().len(), 2);
        drop(waits);
    }
}
