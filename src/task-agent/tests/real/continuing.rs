//! The address where a setup job continues its pipeline, as the programs of jobs call it.

use crate::host::{Host, run};
use protocol::{
    api::MAX_CONTINUE,
    frame::{Answer, Wanted},
    status::{Outcome, StepStatus},
};

fn setup(commands: &[&str]) -> Host {
    let mut host = Host::new(commands.iter().map(|command| run(command)).collect());
    host.spec.is_setup = true;
    host
}

/// As the public orb calls it.
const ORB: &str = r#"
[ "$(curl --retry 5 --retry-delay 0 --retry-connrefused -sS -o /dev/stderr -w '%{http_code}' -XPOST \
  -H "Content-Type: application/json" -H "Accept: application/json" --data @call.json \
  "https://${DOMAIN:-circleci.com}/api/v2/pipeline/continue")" -eq 200 ]
"#;

#[test]
fn a_script_for_circleci_continues_its_pipeline_through_the_launch_agent() {
    let big = "{ printf '{\"configuration\": \"'; head -c 3000000 /dev/zero | tr '\\0' x; printf '\"}'; } > call.json";
    let other = ORB.replace("${DOMAIN:-circleci.com}", "$CIRCLECI_DOMAIN");
    let host = setup(&["echo '{\"continuation-key\": \"k\"}' > call.json", ORB, big, &other]).begun();
    let (first, Wanted::ContinuePipeline, Some(call)) = host.request() else { panic!("a call") };
    assert_eq!(text(call), "{\"continuation-key\": \"k\"}");
    host.answer(first, Answer::Reply { status: 200, body: "{\"message\": \"done\"}".to_owned() }, None);
    let (second, Wanted::ContinuePipeline, Some(call)) = host.request() else { panic!("another call") };
    assert_eq!(text(call).len(), 3_000_000 + "{\"configuration\": \"\"}".len());
    let body = "{\"message\": \"it is not valid\"}".to_owned();
    host.answer(second, Answer::Reply { status: 400, body }, None);
    let left = host.finish();
    assert_eq!(left.step(2), Some((StepStatus::Success, Some(0))), "{}", left.log(2));
    assert_eq!(left.log(2), "{\"message\": \"done\"}");
    assert_eq!(left.step(4), Some((StepStatus::Failed, Some(1))));
    assert_eq!(left.log(4), "{\"message\": \"it is not valid\"}");
    assert_eq!(left.outcome(), Some(Outcome::Failed));
}

fn text(mut file: std::fs::File) -> String {
    use std::io::Seek;
    file.rewind().unwrap();
    std::io::read_to_string(file).unwrap()
}

#[test]
fn git_trusts_the_address_and_what_is_not_answered_there_is_said() {
    let most = MAX_CONTINUE + 1;
    let left = setup(&[
        "! git ls-remote https://$CIRCLECI_DOMAIN/some/repository",
        "curl -sS https://circleci.com/api/v2/me",
        &format!("head -c {most} /dev/zero | curl -sS --data-binary @- https://circleci.com/api/v2/pipeline/continue"),
    ])
    .left();
    assert!(left.log(1).contains("not found"), "{}", left.log(1));
    assert!(left.log(2).contains("only POST /api/v2/pipeline/continue is answered here"), "{}", left.log(2));
    assert!(left.log(3).contains("more than 4194304"), "{}", left.log(3));
}

#[test]
fn a_job_that_is_no_setup_job_finds_no_such_address() {
    let left = Host::new(vec![run("echo \"<$CIRCLECI_DOMAIN$CURL_CA_BUNDLE>\"; ls -A ~")]).left();
    assert_eq!(left.log(1), "<>\nproject\ntmp\n");
}
