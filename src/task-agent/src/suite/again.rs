//! A rerun of failed tests alone: which of the listed ones are run.

use super::{listing::Listed, weigh::Kind};
use protocol::former::FailedTest;
use std::collections::HashSet;

/// What is left of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) listed: Vec<Listed>,
    /// Sentences for the step's log.
    pub(crate) told: Vec<String>,
}

/// All of them, unless only the failed ones are wanted: then those whose file, class or name had a failed test.
pub(crate) fn wanted(listed: Vec<Listed>, failed: Option<&[FailedTest]>, kind: Option<Kind>) -> Again {
    let Some(failed) = failed else { return Again { listed, told: Vec::new() } };
    let named: HashSet<&str> = failed.iter().flat_map(|test| names(test, kind)).collect();
    let has_failed = |test: &Listed| test.keys.iter().any(|key| named.contains(key.as_str()));
    let again: Vec<_> = listed.iter().filter(|test| has_failed(test)).cloned().collect();
    if again.is_empty() {
        let told = format!(
            "None of the {} failed tests is in the list by file, class or name, so all of it is run: have the \
             reports name the `file`.",
            failed.len()
        );
        return Again { listed, told: vec![told] };
    }
    let (some, all) = (again.len(), listed.len());
    Again { listed: again, told: vec![format!("Running failed tests again: {some} of the {all} listed.")] }
}

fn names(test: &FailedTest, kind: Option<Kind>) -> Vec<&str> {
    let all = [
        (Kind::Filename, test.file.as_deref()),
        (Kind::Classname, Some(test.classname.as_str())),
        (Kind::Testname, Some(test.name.as_str())),
    ];
    let of_kind = all.into_iter().filter(|(of, _)| kind.is_none_or(|kind| kind == *of));
    of_kind.filter_map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::listing::Roots, *};
    use std::path::Path;

    fn failed(file: Option<&str>, classname: &str) -> FailedTest {
        let file = file.map(str::to_owned);
        FailedTest { classname: classname.to_owned(), name: "sums".to_owned(), file, message: None }
    }

    fn names_of(again: &Again) -> Vec<&str> {
        again.listed.iter().map(|test| test.name.as_str()).collect()
    }

    fn list() -> Vec<Listed> {
        super::super::listing::words("./a.rb b.rb C", &Roots::new(Path::new("/w"), Path::new("/w")))
    }

    #[test]
    fn only_files_and_classes_with_a_failed_test_run_again() {
        let tests = [failed(Some("a.rb"), "A"), failed(None, "C")];
        assert_eq!(names_of(&wanted(list(), Some(&tests), None)), ["./a.rb", "C"]);
        assert_eq!(names_of(&wanted(list(), Some(&tests), Some(Kind::Classname))), ["C"]);
        assert_eq!(names_of(&wanted(list(), None, None)).len(), 3);
    }

    #[test]
    fn where_no_failed_test_is_listed_all_are_run_and_that_is_said() {
        let again = wanted(list(), Some(&[failed(None, "D")]), None);
        assert_eq!(names_of(&again).len(), 3);
        assert!(again.told[0].starts_with("None of the 1 failed tests"), "{:?}", again.told);
    }
}
