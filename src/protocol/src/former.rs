//! What former runs of a job tell the one that runs now: how long its tests took, and which of them it runs again.

use crate::transfer::TestCase;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Frozen when the job is made, so that all its tasks divide one list alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Former {
    /// How long its tests took.
    pub timings: Timings,
    /// Those that failed, where the job runs again for the sake of them alone.
    pub failed: Option<Vec<FailedTest>>,
}

/// Seconds by what tests can be listed by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Of all tests in a source file.
    pub files: BTreeMap<String, f64>,
    /// Of all tests of a class.
    pub classes: BTreeMap<String, f64>,
    /// Of all tests of a name.
    pub names: BTreeMap<String, f64>,
}

/// A test that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTest {
    /// The class, or the suite.
    pub classname: String,
    /// The test.
    pub name: String,
    /// Its source file, where the report said.
    pub file: Option<String>,
    /// What the report said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The most bytes of names in each of the three tables, and of the failed tests.
const MAX_NAMES: usize = 6 << 20;

impl Timings {
    /// The times of one run.
    pub fn of(cases: impl IntoIterator<Item = TestCase>) -> Self {
        let mut timings = Self::default();
        for TestCase { classname, name, file, run_time, .. } in cases {
            let Some(seconds) = run_time else { continue };
            let keys = [
                (&mut timings.files, file.unwrap_or_default()),
                (&mut timings.classes, classname),
                (&mut timings.names, name),
            ];
            for (table, key) in keys {
                if !key.is_empty() {
                    *table.entry(key).or_default() += seconds;
                }
            }
        }
        timings
    }

    /// Adds what is known only from an older run.
    pub fn add_older(&mut self, older: Self) {
        let tables = [
            (&mut self.files, older.files),
            (&mut self.classes, older.classes),
            (&mut self.names, older.names),
        ];
        for (newer, older) in tables {
            for (key, seconds) in older {
                newer.entry(key).or_insert(seconds);
            }
        }
    }

    /// Leaves out the last names of tables that are too large.
    pub fn bound(&mut self) {
        for table in [&mut self.files, &mut self.classes, &mut self.names] {
            let mut left = MAX_NAMES;
            table.retain(|key, _| has_room(&mut left, key.len()));
        }
    }
}

impl FailedTest {
    /// The names of these tests, as many as there is room for.
    pub fn named(tests: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut left = MAX_NAMES;
        let silent = tests.into_iter().map(|test| Self { message: None, ..test });
        silent.take_while(|test| has_room(&mut left, test.len())).collect()
    }

    fn len(&self) -> usize {
        self.classname.len() + self.name.len() + self.file.as_ref().map_or(0, String::len)
    }
}

impl From<&TestCase> for FailedTest {
    fn from(case: &TestCase) -> Self {
        Self {
            classname: case.classname.clone(),
            name: case.name.clone(),
            file: case.file.clone(),
            message: case.message.clone(),
        }
    }
}

/// What stands around a name in JSON takes its place too.
fn has_room(left: &mut usize, name: usize) -> bool {
    const AROUND: usize = 64;
    let room = left.checked_sub(name + AROUND);
    *left = room.unwrap_or(0);
    room.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::TestResult;

    fn case(file: Option<&str>, classname: &str, name: &str, run_time: Option<f64>) -> TestCase {
        TestCase {
            classname: classname.to_owned(),
            name: name.to_owned(),
            file: file.map(str::to_owned),
            result: TestResult::Success,
            run_time,
            message: None,
        }
    }

    #[test]
    fn times_are_summed_by_file_class_and_name() {
        let timings = Timings::of([
            case(Some("a.rb"), "A", "one", Some(1.0)),
            case(Some("a.rb"), "B", "two", Some(2.0)),
            case(None, "B", "two", Some(4.0)),
            case(Some("c.rb"), "C", "three", None),
        ]);
        let table = |pairs: &[(&str, f64)]| -> BTreeMap<String, f64> {
            pairs.iter().map(|(key, seconds)| ((*key).to_owned(), *seconds)).collect()
        };
        let files = table(&[("a.rb", 3.0)]);
        let classes = table(&[("A", 1.0), ("B", 6.0)]);
        let names = table(&[("one", 1.0), ("two", 6.0)]);
        assert_eq!(timings, Timings { files, classes, names });
    }

    #[test]
    fn the_newest_run_that_knows_a_test_tells_its_time() {
        let mut newest = Timings::of([case(Some("a"), "", "", Some(1.0))]);
        newest
            .add_older(Timings::of([case(Some("a"), "", "", Some(9.0)), case(Some("b"), "", "", Some(2.0))]));
        assert_eq!(newest.files, BTreeMap::from([("a".to_owned(), 1.0), ("b".to_owned(), 2.0)]));
    }

    #[test]
    fn tables_of_any_size_are_bounded() {
        let name = |number: usize| format!("{number:0>1000}");
        let many = || (0..10_000).map(|number| case(Some(&name(number)), "", "", Some(1.0)));
        let mut timings = Timings::of(many());
        timings.bound();
        let failed: Vec<_> = many().map(|case| FailedTest::from(&case)).collect();
        let expect = MAX_NAMES / 1064;
        assert_eq!((timings.files.len(), FailedTest::named(failed).len()), (expect, expect));
        assert!(timings.files.contains_key(&name(0)));
    }
}
