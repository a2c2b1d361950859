//! Long lists in pages, as the public API v2 gives them.

use crate::refusal::Refusal;
use protocol::PipelineId;
use serde::{Deserialize, Serialize};

/// So many items has one page of a list that is cut by its places.
pub(super) const MOST: u32 = 100;

/// What of a list is wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    #[serde(rename = "page-token", default)]
    token: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next_page_token: Option<String>,
}

impl<T> Page<T> {
    /// A list that is never long.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next_page_token: None }
    }

    /// The page of a list that begins at this place, of which one item more was read than a page has, if there is one.
    pub(super) fn from(start: u64, mut items: Vec<T>) -> Self {
        let is_last = items.len() <= MOST as usize;
        items.truncate(MOST as usize);
        let next = start.saturating_add(u64::from(MOST));
        Self { items, next_page_token: Some(next.to_string()).filter(|_| !is_last) }
    }
}

impl PageQuery {
    /// The place in its list at which the wanted page begins.
    pub(super) fn start(&self) -> Result<u64, Refusal> {
        self.token.as_deref().map_or(Ok(0), |token| token.parse().map_err(|_| no_page()))
    }

    /// The wanted page of a list that is at hand.
    pub(super) fn cut<T>(&self, all: impl Iterator<Item = T>) -> Result<Page<T>, Refusal> {
        let start = self.start()?;
        let skipped = usize::try_from(start).unwrap_or(usize::MAX);
        Ok(Page::from(start, all.skip(skipped).take(MOST as usize + 1).collect()))
    }

    /// The number that the page before ended with.
    pub(super) fn number(&self) -> Result<Option<u64>, Refusal> {
        self.token.as_deref().map(|token| token.parse().map_err(|_| no_page())).transpose()
    }

    /// The pipeline that the page before ended with: its time and name.
    pub(super) fn before(&self) -> Result<Option<(i64, PipelineId)>, Refusal> {
        self.token.as_deref().map(|token| place(token).ok_or_else(no_page)).transpose()
    }
}

/// The time and name of the pipeline that a page ended with.
pub(super) fn place(token: &str) -> Option<(i64, PipelineId)> {
    let (time, id) = token.split_once('.')?;
    Some((time.parse().ok()?, id.parse().ok()?))
}

/// The token of the page that follows this pipeline.
pub(super) fn after(time: i64, id: PipelineId) -> String {
    format!("{time}.{id}")
}

fn no_page() -> Refusal {
    Refusal::Bad("`page-token` is none that an answer of this call gave".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(token: Option<&str>) -> PageQuery {
        PageQuery { token: token.map(str::to_owned) }
    }

    #[test]
    fn pages_follow_each_other_and_miss_nothing() {
        for length in [0, 1, 99, 100, 101, 200, 250] {
            let (mut query, mut seen) = (page(None), Vec::new());
            loop {
                let page = query.cut(0..length).unwrap();
                seen.extend(page.items);
                match page.next_page_token {
                    Some(token) => query = PageQuery { token: Some(token) },
                    None => break,
                }
            }
            assert_eq!(seen, (0..length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_token_that_no_answer_gave_is_refused() {
        for token in ["", "x", "-1", "1e9", "99999999999999999999999999"] {
            assert!(page(Some(token)).cut(0..1).is_err(), "{token}");
            assert!(page(Some(token)).before().is_err(), "{token}");
        }
        assert!(page(Some("18446744073709551615")).cut(0..1).unwrap().items.is_empty());
        let id: PipelineId = "01a20a77-725c-7754-917b-f019c337a449".parse().unwrap();
        let token = after(1234, id);
        assert_eq!(page(Some(&token)).before().unwrap(), Some((1234, id)));
    }
}
