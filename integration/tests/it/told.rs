//! What steps say of that which fails nothing, and what nobody is to read anywhere: with the real programs.

use integration::{
    fleet::{CLASS, Fleet},
    local::Ended,
    pipelines::only_task,
    rig::{Rig, pipeline},
};
use protocol::{
    api::{NewPipeline, TestCounts},
    run::JobReport,
    status::{JobStatus, StepStatus},
    task::Variable,
};
use std::process::Command;

/// A job with these steps, run here.
fn run(rig: &Rig, steps: &str) -> Ended {
    let text = format!(
        "version: 2.1\njobs:\n  only:\n    machine: true\n    steps:\n{steps}workflows: {{all: {{jobs: [only]}}}}\n"
    );
    let ended = rig.run(&rig.project("project", &text), &[]);
    assert_eq!(ended.status, 0, "{ended:?}");
    ended
}

#[test]
fn a_cache_that_cannot_be_saved_is_told_of_and_the_job_goes_on() {
    let rig = Rig::new();
    let steps = "      - run: mkdir closed && echo a > closed/a && chmod 0 closed/a\n      - save_cache: {key: k, paths: \
                 [closed]}\n      - run: {name: after, command: echo went on}\n";
    let ended = run(&rig, steps);
    let said = ended.step("only", "Saving Cache");
    assert!(said.starts_with("The cache was not saved: ") && said.contains("closed/a"), "{said}");
    assert_eq!(ended.step("only", "after"), "went on\n");
}

#[test]
fn a_report_that_breaks_off_is_named_and_the_others_count() {
    let rig = Rig::new();
    let steps = "      - run: |
          mkdir results
          echo '<testsuite><testcase name=\"a\"/><testcase name=\"b\"><failure message=\"no\"/></testcase></testsuite>' > results/whole.xml
          echo '<testsuite><testcase name=\"c\"/>' > results/broken.xml
          echo '<html/>' > results/page.xml
      - store_test_results: {path: results}
";
    let ended = run(&rig, steps);
    let said = ended.step("only", "Uploading test results");
    assert!(
        said.contains("/results/broken.xml: the report breaks off inside <testsuite>: left out.\n"),
        "{said}"
    );
    assert!(
        said.contains("/results/page.xml: ") && said.contains("this is no JUnit report: left out.\n"),
        "{said}"
    );
    assert!(said.ends_with("Stored 2 test results of 1 reports: 1 passed, 1 failed, 0 skipped.\n"), "{said}");
    assert_eq!(ended.job("only").tests, TestCounts { passed: 1, failed: 1, skipped: 0 });
}

#[test]
fn a_split_tells_how_many_tests_each_task_has() {
    let rig = Rig::new();
    let text = "version: 2.1\njobs:\n  only:\n    machine: true\n    parallelism: 2\n    steps:\n      - run: {name: share, \
                command: 'printf \"%s\\n\" a b c | circleci tests split --show-counts'}\nworkflows: {all: {jobs: [only]}}\n";
    let ended = rig.run(&rig.project("project", text), &[]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert_eq!(shares(&ended.job("only")), ["a c", "b"], "{ended:?}");
    let tasks = ended.job("only").tasks;
    for (task, told) in tasks.iter().zip(["Task 0 of 2: 2 of 3 tests", "Task 1 of 2: 1 of 3 tests"]) {
        assert!(task.steps.iter().any(|step| step.output.contains(told)), "{task:#?}");
    }
}

/// The tests of each task, by names of one letter.
fn shares(job: &JobReport) -> Vec<String> {
    let share = |task: &protocol::run::TaskReport| {
        let step = task.steps.iter().find(|step| step.name == "share").expect("it ran");
        let lines = step.output.lines().map(str::trim).filter(|line| line.len() == 1);
        lines.collect::<Vec<_>>().join(" ")
    };
    job.tasks.iter().map(share).collect()
}

const TIMED: &str = "version: 2.1
jobs:
  only:
    machine: true
    parallelism: 2
    steps:
      - run: {name: share, command: 'printf \"%s\\n\" a b c d | circleci tests split --split-by=timings | tee mine'}
      - run: |
          echo '<testsuite>' > results.xml
          for file in $(cat mine); do
            time=1; [ $file = b ] && time=9
            echo \"<testcase name='t' file='$file' time='$time'/>\" >> results.xml
          done
          echo '</testsuite>' >> results.xml
      - store_test_results: {path: results.xml}
workflows: {all: {jobs: [only]}}
";

fn git(rig: &Rig, project: &std::path::Path, script: &str) {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(project);
    let ended = rig.finish(command);
    assert_eq!(ended.status, 0, "{ended:?}");
}

#[test]
fn a_new_branch_is_split_by_the_times_of_the_default_one() {
    let rig = Rig::new();
    let project = rig.project("project", TIMED);
    let commit = "git init -q -b main; git add -A; git -c user.name=rig -c user.email=rig@example.com commit -q -m one";
    git(&rig, &project, commit);
    let run = || {
        let ended = rig.run(&project, &[]);
        assert_eq!(ended.status, 0, "{ended:?}");
        shares(&ended.job("only"))
    };
    assert_eq!(run(), ["a c", "b d"], "nothing is known yet");
    git(&rig, &project, "git checkout -q -b topic");
    assert_eq!(run(), ["b", "a c d"], "b takes as long as nine of the others");
}

/// As no variable's name or word of a configuration.
const SECRET: &str = "correct+horse/battery \"staple\"";

#[actix_rt::test]
async fn a_secret_is_masked_in_names_commands_and_logs_as_all_who_watch_get_them() {
    let fleet = Fleet::start(&[]).await;
    let command = "printf %s \"$PHRASE\" > f; cat f; echo; base64 -w0 f; echo; od -An -v -tx1 f | tr -d ' \\n'; echo; echo over";
    let command = serde_json::Value::from(format!("{command} # {SECRET}"));
    let name = serde_json::Value::from(format!("log in with {SECRET}"));
    let config = format!(
        "version: 2.1\njobs:\n  only:\n    machine: true\n    resource_class: {CLASS}\n    steps:\n      - run: {{name: \
         {name}, command: {command}}}\nworkflows: {{all: {{jobs: [only]}}}}\n"
    );
    let phrase = Variable { name: "PHRASE".to_owned(), value: SECRET.to_owned(), secret: true };
    let new = NewPipeline { environment: vec![phrase], ..pipeline(&config, CLASS) };
    let operator = fleet.server.operator();
    let created = operator.create_pipeline(&new).await.unwrap_or_else(|error| panic!("{error}"));
    let view = fleet.server.ended(created.id).await;
    let task = only_task(&view);
    assert_eq!(view.workflows[0].jobs[0].status, JobStatus::Success, "{view:#?}");
    assert!(task.steps.iter().all(|step| step.status == StepStatus::Success), "{view:#?}");
    let feed = operator.feed(created.id, 0, 0).await.unwrap_or_else(|error| panic!("{error}"));
    let log = fleet.server.log(task.id, task.steps.last().expect("it ran").number.0).await;
    assert!(log.ends_with("over\n") && log.matches("****").count() >= 3, "{log}");
    let job = &view.workflows[0].jobs[0];
    let page = fleet.server.page(&format!("/jobs/{}", job.id));
    let raw = fleet.server.page(&format!("/tasks/{}/steps/1/raw", task.id));
    for told in [format!("{view:?}"), page.clone()] {
        assert!(told.contains("log in with ****"), "{told}");
    }
    let public = [
        format!("/api/v2/pipeline/{}", view.id),
        format!("/api/v2/workflow/{}/job", view.workflows[0].id),
        format!("/api/v2/project/local/rig/job/{}", job.number),
        format!("/api/v3/pipelines/{}", view.id),
    ];
    let public = public.map(|path| {
        let answered = fleet.server.get(&path);
        assert_eq!(answered.status, 200, "{path}: {}", answered.body);
        answered.body
    });
    for told in [format!("{view:?}"), format!("{feed:?}"), log, page, raw].into_iter().chain(public) {
        assert!(!told.contains("horse") && !told.contains("staple"), "{told}");
    }
}

/// As a step finds it: a line that shells quote, one that JSON escapes, and one with what addresses escape.
const LINES: &str = "it's {of} one\\n\t\"quoted\"\nanother & third=line";

/// Prints the phrase in every form that is promised to be masked, each under its name, and each line of it.
const FORMS: &str = r#"
url() { local LC_ALL=C text=$1 at; for ((at = 0; at < ${#text}; at++)); do
  case ${text:at:1} in [a-zA-Z0-9._~-]) printf %s "${text:at:1}";; *) printf %%%02X "'${text:at:1}";; esac; done; }
json() { local text=${1//\\/\\\\}; text=${text//\"/\\\"}; text=${text//$'\t'/\\t}; printf %s "${text//$'\n'/\\n}"; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
echo "as it is: $LINES_OF_IT"
while read -r line; do echo "a line: $line"; done <<< "$LINES_OF_IT"
echo "in an address: $(url "$LINES_OF_IT")"
echo "in a form: $(url "$LINES_OF_IT" | sed 's/%20/+/g')"
echo "in JSON: $(json "$LINES_OF_IT")"
echo "quoted: $(printf %q "$LINES_OF_IT")"
echo "in hexadecimal: $(printf %s "$LINES_OF_IT" | hex)"
echo "in capitals: $(printf %s "$LINES_OF_IT" | hex | tr a-f A-F)"
for before in '' . ..; do echo "in base64: $(printf %s "$before$LINES_OF_IT" | base64 -w0)"; done
printf 'in two: '; printf %s "${LINES_OF_IT:0:7}"; sleep 0.1; printf '%s\n' "${LINES_OF_IT:7}"
echo over
"#;

#[test]
fn a_secret_is_masked_in_every_form_that_a_job_may_print_it_in() {
    let rig = Rig::new();
    let command = serde_json::Value::from(FORMS);
    let text = format!(
        "version: 2.1\njobs:\n  only:\n    machine: true\n    steps:\n      - run: {{name: it, command: {command}}}\n\
         workflows: {{all: {{jobs: [only]}}}}\n"
    );
    let ended = rig.run(&rig.project("project", &text), &["--secret", &format!("LINES_OF_IT={LINES}")]);
    assert_eq!(ended.status, 0, "{ended:?}");
    // What of base64 also depends on what stands beside the secret is not masked.
    let expected = "as it is: ****\na line: ****\na line: ****\nin an address: ****\nin a form: ****\nin JSON: ****\n\
                    quoted: $'****'\nin hexadecimal: ****\nin capitals: ****\nin base64: ****\nin base64: Lm****Q==\n\
                    in base64: Li5****U=\nin two: ****\nover\n";
    assert_eq!(ended.step("only", "it"), expected);
}
