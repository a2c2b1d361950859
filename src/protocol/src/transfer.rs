//! Records of what a task stored: blobs, artifacts, caches, workspace layers and test results.

use crate::ids::Digest;
use serde::{Deserialize, Serialize};

/// A content the control plane is asked to take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its name.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// Where to put a content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Which content.
    pub digest: Digest,
    /// A signed URL for one PUT, absolute or relative to the API's own; none: the project has this content already.
    pub url: Option<String>,
    /// Of a large content: it is put in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
}

/// A large content on its way: `PUT` of the URL with `&part=<n>&sha256=<digest of the part>` for each part that is not
/// stored, in any order, then with `&join=true` and no body. Whoever goes on later asks again and is told what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Bytes of each but the last.
    pub size: u64,
    /// The numbers, from 0, of those that are on disk.
    pub stored: Vec<u32>,
}

/// Bytes of a part.
pub const PART: u64 = 16 * 1024 * 1024;
/// The largest content that goes in one piece.
pub const MAX_WHOLE: u64 = 2 * PART;
/// The largest content at all.
pub const MAX_CONTENT: u64 = 1 << 40;

impl Parts {
    /// How many a content has.
    pub fn number(content: u64, part: u64) -> u32 {
        u32::try_from(content.div_ceil(part.max(1))).unwrap_or(u32::MAX)
    }

    /// Where one lies in its content; empty where the content has no such part.
    pub fn range(content: u64, part: u64, number: u32) -> std::ops::Range<u64> {
        let place = |number: u64| part.saturating_mul(number).min(content);
        place(number.into())..place(u64::from(number) + 1)
    }

    /// Those that are not stored.
    pub fn missing(&self, content: u64) -> Vec<u32> {
        (0..Self::number(content, self.size)).filter(|number| !self.stored.contains(number)).collect()
    }
}

/// An artifact, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Relative, `/` between, no `.` or `..` parts.
    pub path: String,
    /// Its content, stored before.
    #[serde(flatten)]
    pub content: Content,
}

/// Something to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The cache key that matched, or the job that persisted the layer.
    pub name: String,
    /// What will come.
    #[serde(flatten)]
    pub content: Content,
    /// A signed URL to GET it from.
    pub url: String,
}

/// Who persisted a workspace layer, and over whose it may be put.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The job, by its place among those upstream.
    pub job: u32,
    /// Which of the job's tasks.
    pub index: u32,
    /// The jobs that were over before this one began.
    pub over: Vec<u32>,
}

impl Writer {
    /// Whether it knew what the other one persisted: what runs side by side does not.
    pub fn follows(&self, other: &Self) -> bool {
        (self.job, self.index) == (other.job, other.index) || self.over.contains(&other.job)
    }
}

/// One test of a JUnit report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestCase {
    /// The class, or the suite.
    pub classname: String,
    /// The test.
    pub name: String,
    /// Its source file, where the report says.
    pub file: Option<String>,
    /// How it ended.
    pub result: TestResult,
    /// Seconds, where the report says.
    #[serde(default)]
    pub run_time: Option<f64>,
    /// Of a failure or skip, cut to a sensible length.
    pub message: Option<String>,
}

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestResult {
    /// It passed.
    Success,
    /// It failed or broke.
    Failure,
    /// It did not run.
    Skipped,
}

/// The most bytes of the test results of one request, a line each.
pub const MAX_TESTS: usize = 31 * 1024 * 1024;

/// The longest cache key, in characters (a documented limit of CircleCI).
pub const MAX_CACHE_KEY: usize = 900;

/// Whether an artifact's path can leave no root: relative, without empty, `.` and `..` parts and NUL.
pub fn is_safe_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 4096
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_their_content_without_a_gap() {
        for (content, number, last) in [(1, 1, 0..1), (10, 1, 0..10), (11, 2, 10..11), (30, 3, 20..30)] {
            assert_eq!(Parts::number(content, 10), number);
            assert_eq!(Parts::range(content, 10, number - 1), last);
            assert!(Parts::range(content, 10, number).is_empty());
        }
        let parts = Parts { size: 10, stored: vec![0, 2] };
        assert_eq!(parts.missing(35), [1, 3]);
    }

    #[test]
    fn a_safe_path_stays_below_its_root() {
        for good in ["a", "a/b.txt", "..a/b..", "ü/λ"] {
            assert!(is_safe_path(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\0b"] {
            assert!(!is_safe_path(bad), "{bad}");
        }
    }
}
