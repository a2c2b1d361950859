//! Tests divided over the tasks of a job with the real programs: by names at first, then by the times of the run before,
//! by sizes, and in a rerun of failed tests only those.

use integration::rig::{Rig, Server};
use protocol::{
    api::{PipelineView, TestCounts, WorkflowView},
    run::{JobReport, StepReport},
    status::WorkflowStatus,
};
use std::{path::Path, process::Command};

const CLASS: &str = "rig/linux";

/// Each task prints its share, and reports the times that stand in the files.
const BY_TIMINGS: &str = r#"
version: 2.1
jobs:
  test:
    machine: true
    parallelism: 3
    steps:
      - checkout
      - run:
          name: share
          command: circleci tests glob "spec/**/*.t" | circleci tests split --split-by=timings | tee mine
      - run: |
          echo '<testsuite>' > results.xml
          while read file; do
            echo "<testcase name='of $file' file='$PWD/$file' time='$(cat "$file")'/>" >> results.xml
          done < mine
          echo '</testsuite>' >> results.xml
      - store_test_results: {path: results.xml}
workflows: {all: {jobs: [test]}}
"#;

/// A repository with a file for each test, on this branch.
fn repository(rig: &Rig, name: &str, config: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
    let project = rig.project(name, config);
    for (file, text) in files {
        rig.write(&format!("{name}/{file}"), text);
    }
    let script = "git init -q -b topic && git add -A && \
                  git -c user.name=rig -c user.email=rig@example.com commit -q -m tests";
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(&project);
    assert_eq!(rig.finish(command).status, 0);
    project
}

fn steps<'j>(job: &'j JobReport, name: &'j str) -> impl Iterator<Item = &'j StepReport> {
    job.tasks.iter().flat_map(move |task| task.steps.iter().filter(move |step| step.name == name))
}

/// What each task printed, but for what the command says beside it.
fn shares(job: &JobReport) -> Vec<String> {
    let files = |step: &StepReport| {
        let lines = step.output.lines().filter(|line| line.trim_end().ends_with(".t"));
        lines.map(|line| line.trim().trim_start_matches("spec/")).collect::<Vec<_>>().join(" ")
    };
    steps(job, "share").map(files).collect()
}

#[test]
fn a_job_is_split_by_names_at_first_and_then_by_the_times_of_its_run_before() {
    let rig = Rig::new();
    let files = [
        ("spec/a.t", "1"),
        ("spec/b.t", "1"),
        ("spec/in/c.t", "1"),
        ("spec/in/d.t", "9"),
        ("spec/in/e.t", "3"),
        ("spec/in/f.t", "3"),
    ];
    let project = repository(&rig, "split", BY_TIMINGS, &files);
    let run = || {
        let ended = rig.run(&project, &[]);
        assert_eq!(ended.status, 0, "{ended:?}");
        ended.job("test")
    };
    let falls_back = |job: &JobReport| {
        steps(job, "share").filter(|step| step.output.contains("falling back to weighting by name.")).count()
    };
    let first = run();
    assert_eq!(shares(&first), ["a.t in/d.t", "b.t in/e.t", "in/c.t in/f.t"], "{first:#?}");
    assert_eq!(falls_back(&first), 3);
    let second = run();
    assert_eq!(shares(&second), ["in/d.t", "a.t in/c.t in/e.t", "b.t in/f.t"], "{second:#?}");
    assert_eq!(falls_back(&second), 0);
    for job in [first, second] {
        assert_eq!(job.tests, TestCounts { passed: 6, failed: 0, skipped: 0 });
    }
}

fn by_run() -> String {
    format!(
        r#"
version: 2.1
jobs:
  test:
    machine: true
    resource_class: {CLASS}
    parallelism: 2
    steps:
      - checkout
      - run:
          name: tests
          command: circleci tests glob "*.t" | circleci tests run --verbose --command='xargs sh check'
      - store_test_results: {{path: results.xml}}
workflows: {{all: {{jobs: [test]}}}}
"#
    )
}

/// A test passes where its file has no `bad` in it, or there is a sign.
fn check(sign: &Path) -> String {
    format!(
        r#"
failed=0
echo '<testsuite>' > results.xml
for file in "$@"; do
  echo "ran $file"
  if grep -q bad "$file" && ! [ -e {} ]; then
    failed=1
    echo "<testcase name='t' file='$file'><failure message='$file is bad'/></testcase>" >> results.xml
  else
    echo "<testcase name='t' file='$file' time='1'/>" >> results.xml
  fi
done
echo '</testsuite>' >> results.xml
exit $failed
"#,
        sign.display()
    )
}

/// What the commands of a run said, a task each.
async fn said(server: &Server, run: &WorkflowView) -> Vec<String> {
    let mut said = Vec::new();
    for task in &run.jobs[0].tasks {
        let step = task.steps.iter().find(|step| step.name == "tests").expect("it ran");
        said.push(server.log(task.id, step.number.0).await);
    }
    said
}

/// The files that were checked.
fn ran(said: &[String]) -> Vec<&str> {
    let lines = said.iter().flat_map(|log| log.lines());
    let mut ran: Vec<_> = lines.filter_map(|line| line.trim().strip_prefix("ran ")).collect();
    ran.sort_unstable();
    ran
}

#[actix_rt::test]
async fn a_rerun_of_failed_tests_gives_the_command_the_files_that_had_one() {
    let rig = Rig::new();
    let sign = rig.path("sign");
    let check = check(&sign);
    let files =
        [("a.t", "good"), ("b.t", "bad"), ("c.t", "good"), ("d.t", "good"), ("check", check.as_str())];
    let project = repository(&rig, "again", &by_run(), &files);
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 2);
    let mut start = rig.roundhouse();
    start.args(["pipeline", "run", "--host", &server.url, "--token", &server.token]).arg(&project);
    let pipeline = rig.finish(start).output.trim().parse().expect("the pipeline's id");
    let first = server.ended(pipeline).await.workflows.remove(0);
    let told = said(&server, &first).await;
    assert_eq!(ran(&told), ["a.t", "b.t", "c.t", "d.t"], "{told:#?}");
    assert_eq!(first.jobs[0].tests, TestCounts { passed: 3, failed: 1, skipped: 0 });
    assert_eq!(first.jobs[0].failures[0].message.as_deref(), Some("b.t is bad"));
    rig.write("sign", "");
    let mut rerun = rig.roundhouse();
    rerun.args(["rerun", &first.id.to_string(), "--failed-tests", "--follow", "--output", "json"]);
    rerun.args(["--host", &server.url, "--token", &server.token]);
    let ended = rig.finish(rerun);
    assert_eq!(ended.status, 0, "{ended:?}");
    let again = server.ended(pipeline).await.workflows.remove(1);
    let told = said(&server, &again).await;
    assert_eq!(ran(&told), ["b.t"], "{told:#?}");
    assert_eq!(again.jobs[0].tests, TestCounts { passed: 1, failed: 0, skipped: 0 });
    let count = |words: &str| told.iter().filter(|log| log.contains(words)).count();
    assert_eq!(count("Running failed tests again: 1 of the 4 listed."), 2);
    assert_eq!(count("No tests are left for this task: the command is not run."), 1);
    assert_eq!((first.status, again.status), (WorkflowStatus::Failed, WorkflowStatus::Success));
}

#[test]
fn a_job_is_split_by_the_sizes_of_its_files() {
    let rig = Rig::new();
    let config = BY_TIMINGS.replace("--split-by=timings", "--split-by=filesize");
    let large = "9".repeat(900);
    let files = [("spec/a.t", "1"), ("spec/b.t", "1"), ("spec/in/c.t", large.as_str()), ("spec/d.t", "111")];
    let project = repository(&rig, "sizes", &config, &files);
    let ended = rig.run(&project, &[]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(shares(&ended.job("test")), ["in/c.t", "d.t", "a.t b.t"], "{ended:#?}");
}

/// A job whose tasks each wait for a sign of their own, then divide a list by times; or one that tells these times.
fn told_apart(signs: Option<&Path>) -> String {
    let (tasks, waits, times) = match signs {
        Some(signs) => {
            (2, format!("until [ -e {}/$CIRCLE_NODE_INDEX ]; do sleep 0.02; done", signs.display()), "1")
        }
        None => (1, "true".to_owned(), "$([ $file = b.t ] && echo 9 || echo 1)"),
    };
    format!(
        r#"
version: 2.1
jobs:
  test:
    machine: true
    resource_class: {CLASS}
    parallelism: {tasks}
    steps:
      - run: {waits}
      - run: {{name: tests, command: 'printf "%s\n" a.t b.t c.t d.t | circleci tests split --split-by=timings | tee mine'}}
      - run: |
          echo '<testsuite>' > results.xml
          for file in $(cat mine); do echo "<testcase name='t' file='$file' time='{times}'/>" >> results.xml; done
          echo '</testsuite>' >> results.xml
      - store_test_results: {{path: results.xml}}
workflows: {{all: {{jobs: [test]}}}}
"#
    )
}

/// The tests of each task of the only job.
async fn parts(server: &Server, run: &WorkflowView) -> Vec<String> {
    let of =
        |log: String| log.lines().map(str::trim).filter(|line| line.len() == 3).collect::<Vec<_>>().join(" ");
    said(server, run).await.into_iter().map(of).collect()
}

#[actix_rt::test]
async fn all_tasks_of_a_job_divide_by_the_times_that_were_known_when_it_was_made() {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 4);
    let signs = rig.path("signs");
    std::fs::create_dir(&signs).expect("it is ours");
    let sign = |task: &str| rig.write(&format!("signs/{task}"), "");
    let first = server.pipeline(&told_apart(Some(&signs)), CLASS).await;
    sign("0");
    let has_ended = |view: &PipelineView| {
        let task = view.workflows[0].jobs[0].tasks.first()?;
        task.outcome.is_some().then_some(())
    };
    server.sees(first, "the end of the first task", has_ended).await;
    let between = server.pipeline(&told_apart(None), CLASS).await;
    let between = server.ended(between).await.workflows.remove(0);
    assert_eq!(between.jobs[0].tests, TestCounts { passed: 4, failed: 0, skipped: 0 });
    sign("1");
    let first = server.ended(first).await.workflows.remove(0);
    assert_eq!(parts(&server, &first).await, ["a.t c.t", "b.t d.t"], "one list, although times came between");
    let last = server.pipeline(&told_apart(Some(&signs)), CLASS).await;
    let last = server.ended(last).await.workflows.remove(0);
    assert_eq!(parts(&server, &last).await, ["b.t", "a.t c.t d.t"], "and the next job has them");
}
