//! The commands about tests as a step meets them.

use super::*;
use protocol::former::{FailedTest, Timings};
use std::{cell::Cell, collections::BTreeMap, fs};

/// What a command printed, what it said beside that, and its exit code.
type Printed = (String, String, Result<u8, String>);

struct Step {
    directory: tempfile::TempDir,
    former: Result<Former, String>,
    asked: Cell<u32>,
    node: (usize, usize),
}

impl Step {
    fn new(former: Result<Former, String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("project")).unwrap();
        Self { directory, former, asked: Cell::new(0), node: (0, 1) }
    }

    fn circleci(&self, words: &[&str], input: &str) -> Printed {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let variable = |name: &str| match name {
            "CIRCLE_NODE_INDEX" => Some(self.node.0.to_string()),
            "CIRCLE_NODE_TOTAL" => Some(self.node.1.to_string()),
            "CIRCLE_WORKING_DIRECTORY" => Some("~/project".to_owned()),
            "HOME" => Some(self.directory.path().to_str().unwrap().to_owned()),
            _ => None,
        };
        let former = || {
            self.asked.set(self.asked.get() + 1);
            self.former.clone()
        };
        let mut here = Surroundings {
            directory: self.directory.path().join("project"),
            variable: &variable,
            former: &former,
            input: &mut input.as_bytes(),
            output: &mut output,
            errors: &mut errors,
        };
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let code = run(&words, &mut here).map_err(|error| error.to_string());
        (String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap(), code)
    }

    /// The shares of all tasks.
    fn shares(&mut self, words: &[&str], input: &str, total: usize) -> Vec<String> {
        let share = |index| {
            self.node = (index, total);
            self.circleci(words, input).0
        };
        (0..total).map(share).collect()
    }
}

fn timings(files: &[(&str, f64)]) -> Former {
    let files: BTreeMap<_, _> = files.iter().map(|(file, seconds)| ((*file).to_owned(), *seconds)).collect();
    Former { timings: Timings { files, ..Timings::default() }, failed: None }
}

const BY_TIMINGS: &[&str] = &["split", "--split-by=timings"];

#[test]
fn names_are_split_in_turn_and_printed_as_they_came() {
    let mut step = Step::new(Err("nobody asks".to_owned()));
    assert_eq!(step.shares(&["split"], "d\nb\na\nc\n", 2), ["a\nc\n", "d\nb\n"]);
    assert_eq!(step.asked.get(), 0);
}

#[test]
fn times_of_former_runs_balance_the_shares() {
    let mut step = Step::new(Ok(timings(&[("a.rb", 1.0), ("b.rb", 9.0), ("c.rb", 3.0), ("d.rb", 4.0)])));
    assert_eq!(step.shares(BY_TIMINGS, "a.rb\n./b.rb\nc.rb\nd.rb\n", 2), ["./b.rb\n", "a.rb\nc.rb\nd.rb\n"]);
}

#[test]
fn without_a_former_run_the_names_are_split_and_that_is_said() {
    let step = Step::new(Ok(Former::default()));
    let (printed, said, code) = step.circleci(BY_TIMINGS, "b\na\n");
    assert_eq!((printed.as_str(), code), ("b\na\n", Ok(0)));
    assert_eq!(
        said,
        "Error auto-detecting timing type, falling back to weighting by name.\n\
         No former run of this job on this branch or the default one has stored test results with times.\n"
    );
    let away = Step::new(Err("nobody is there".to_owned()));
    assert!(away.circleci(BY_TIMINGS, "a\n").1.ends_with("weighting by name.\nnobody is there\n"));
}

#[test]
fn the_type_of_times_is_the_one_that_knows_most_of_the_list() {
    let mut former = timings(&[("a", 1.0)]);
    former.timings.classes = [("a", 8.0), ("b", 1.0), ("c", 7.0)].map(|(c, t)| (c.to_owned(), t)).into();
    let mut step = Step::new(Ok(former));
    assert_eq!(step.shares(BY_TIMINGS, "a\nb\nc\n", 2), ["a\n", "b\nc\n"]);
    let by_file = &["split", "--split-by=timings", "--timings-type=filename"];
    let (_, said, _) = step.circleci(by_file, "a\nb\nc\n");
    assert_eq!(said, "\"b\", \"c\" has no known time: each counts as 1.000s, the mean of the others.\n");
    let by_name = &["split", "--split-by=timings", "--timings-type=testname"];
    assert!(step.circleci(by_name, "a\n").1.contains("No time is known of any testname in the list."));
}

#[test]
fn what_no_run_knows_counts_as_told_or_as_the_mean() {
    let former = timings(&[("a", 2.0), ("b", 4.0)]);
    let mut step = Step::new(Ok(former));
    assert_eq!(step.shares(BY_TIMINGS, "a\nb\nnew\n", 2), ["b\n", "a\nnew\n"]);
    let told = &["split", "--split-by=timings", "--time-default=1m"];
    assert_eq!(step.shares(told, "a\nb\nnew\n", 2), ["new\n", "a\nb\n"]);
}

#[test]
fn sizes_of_files_balance_the_shares() {
    let mut step = Step::new(Err("nobody asks".to_owned()));
    for (name, size) in [("a", 10), ("b", 100), ("c", 90)] {
        fs::write(step.directory.path().join("project").join(name), vec![b'x'; size]).unwrap();
    }
    let by_size = &["split", "--split-by=filesize", "--show-counts"];
    assert_eq!(step.shares(by_size, "a\nb\nc\n", 2), ["b\n", "a\nc\n"]);
    step.node = (1, 2);
    assert_eq!(step.circleci(by_size, "a\nb\nc\n").1, "Task 1 of 2: 2 of 3 tests\n");
    assert!(step.circleci(by_size, "x\n").1.starts_with("None of the list is a file"));
}

#[test]
fn lists_and_timings_may_come_from_files() {
    let mut step = Step::new(Err("nobody asks".to_owned()));
    let file =
        |name: &str, text: &str| fs::write(step.directory.path().join("project").join(name), text).unwrap();
    file("list", "a\nb\nc\n");
    file(
        "t.json",
        r#"{"tests":[{"file":"a","run_time":1},{"file":"b","time":5},{"classname":"x","file":"c","run_time":2}]}"#,
    );
    let words = &["split", "--split-by=timings", "--timings-file=t.json", "list"];
    assert_eq!(step.shares(words, "", 2), ["b\n", "a\nc\n"]);
    let missing = step.circleci(&["split", "none"], "").2;
    assert!(missing.unwrap_err().starts_with("cannot read `none`: "));
}

#[test]
fn the_command_gets_the_share_apart_by_spaces_and_its_exit_is_the_commands() {
    let mut step = Step::new(Ok(Former::default()));
    step.node = (1, 2);
    let run = |command: &str| step.circleci(&["run", "--command", command], "a b\nc d\n");
    assert_eq!(run(">got cat; exit 7").2, Ok(7));
    let got = || fs::read_to_string(step.directory.path().join("project/got")).unwrap();
    assert_eq!(got(), "b d");
    assert_eq!(run(">got xargs -n1 echo").2, Ok(0));
    assert_eq!(got(), "b\nd\n");
    assert_eq!(run("kill -9 $$").2, Ok(137));
}

#[test]
fn a_task_without_a_share_runs_nothing() {
    let mut step = Step::new(Ok(Former::default()));
    step.node = (2, 3);
    let (_, said, code) = step.circleci(&["run", "--command=touch ran"], "a b\n");
    assert_eq!((said.as_str(), code), ("No tests are left for this task: the command is not run.\n", Ok(0)));
    let (_, said, _) = step.circleci(&["run", "--command=touch ran"], "");
    assert!(said.starts_with("No test names found in the input"), "{said}");
    assert!(!step.directory.path().join("project/ran").exists());
}

#[test]
fn a_rerun_of_failed_tests_runs_the_files_that_had_one() {
    let failed = FailedTest {
        classname: "B".to_owned(),
        name: "sums".to_owned(),
        file: Some("b.rb".to_owned()),
        message: None,
    };
    let step = Step::new(Ok(Former { failed: Some(vec![failed]), ..Former::default() }));
    let (_, said, code) = step.circleci(&["run", "-v", "--command=>got cat"], "a.rb ./b.rb c.rb");
    assert_eq!(code, Ok(0));
    assert_eq!(
        said,
        "Running failed tests again: 1 of the 3 listed.\nThis task runs 1 of 1 tests:\n  ./b.rb\n"
    );
    assert_eq!(fs::read_to_string(step.directory.path().join("project/got")).unwrap(), "./b.rb");
    assert_eq!(step.circleci(&["split"], "a.rb\n").0, "a.rb\n", "split knows no reruns");
}

#[test]
fn patterns_name_files_from_here_and_from_the_home() {
    let step = Step::new(Ok(Former::default()));
    fs::write(step.directory.path().join("project/a_spec.rb"), "").unwrap();
    let (printed, _, code) = step.circleci(&["glob", "*_{spec,test}.rb", "~/project/a*", "none*"], "");
    let home = step.directory.path().display();
    assert_eq!((printed, code), (format!("a_spec.rb\n{home}/project/a_spec.rb\n"), Ok(0)));
    assert!(step.circleci(&["glob", "[a"], "").2.is_err());
}
