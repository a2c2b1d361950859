//! Liveness, readiness and metrics, as whoever watches the control plane asks for them.

use crate::house::{CLASS, House, ONE_JOB, OPERATOR, claim, claim_one, finish, get};
use protocol::Outcome;
use std::collections::BTreeSet;

const TOKEN: Option<(&str, &str)> = Some(("Authorization", "Bearer operator's token"));

#[actix_web::test]
async fn everybody_may_ask_whether_it_lives_and_whether_it_is_ready() {
    let house = House::new().await;
    assert_eq!(get(&house, "/healthz", None).await, (200, "it lives\n".to_owned()));
    assert_eq!(get(&house, "/readyz", None).await, (200, "it is ready\n".to_owned()));
    house.running.stop().await;
}

/// The value of one sample.
#[track_caller]
fn value<'t>(metrics: &'t str, sample: &str) -> &'t str {
    let found = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {sample}:\n{metrics}"))
}

#[actix_web::test]
async fn what_waits_what_runs_and_what_is_over_is_counted() {
    assert_eq!(OPERATOR, "operator's token");
    let house = House::new().await;
    let config = ONE_JOB.replace("machine: true", "machine: true\n    parallelism: 4");
    house.pipeline(&config).await;
    let runner = house.runner().await;
    finish(&runner, Outcome::Success).await;
    claim_one(&runner).await;
    let missing = get(&house, "/api/v2/pipeline/nothing", TOKEN).await;
    assert_eq!(missing.0, 404);
    assert_eq!(get(&house, "/nowhere/1", None).await.0, 404);
    let (status, metrics) = get(&house, "/metrics", TOKEN).await;
    assert_eq!(status, 200);
    for (sample, wanted) in [
        ("roundhouse_workflows_running", "1"),
        ("roundhouse_jobs_on_hold", "0"),
        ("roundhouse_tasks_queued{class=\"acme/linux\"}", "2"),
        ("roundhouse_tasks_running{class=\"acme/linux\"}", "1"),
        ("roundhouse_tasks_total{outcome=\"success\"}", "1"),
        ("roundhouse_agents{class=\"acme/linux\"}", "1"),
        ("roundhouse_requests_open", "1"),
        ("roundhouse_requests_total{route=\"/api/v3/runner/claim\",method=\"POST\",status=\"200\"}", "2"),
        ("roundhouse_requests_total{route=\"/api/v2/pipeline/{id}\",method=\"GET\",status=\"404\"}", "1"),
        ("roundhouse_requests_total{route=\"none\",method=\"GET\",status=\"404\"}", "1"),
        ("roundhouse_request_seconds_bucket{route=\"/api/v3/pipelines\",method=\"POST\",le=\"+Inf\"}", "1"),
        ("roundhouse_request_seconds_count{route=\"/api/v3/pipelines\",method=\"POST\"}", "1"),
    ] {
        assert_eq!(value(&metrics, sample), wanted, "{sample}");
    }
    house.running.stop().await;
}

/// The name of a metric that a sample is of, as its `TYPE` has it.
fn family(sample: &str) -> &str {
    let name = sample.split(['{', ' ']).next().unwrap();
    let ends = ["_bucket", "_sum", "_count"];
    let histogram = name.starts_with("roundhouse_request_seconds");
    ends.iter().find_map(|end| name.strip_suffix(end)).filter(|_| histogram).unwrap_or(name)
}

#[actix_web::test]
async fn every_metric_is_explained_once_before_its_samples_and_no_sample_comes_twice() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    assert!(house.runner().await.claim(&claim(1, 0)).await.unwrap().len() == 1, "{CLASS}");
    let (_, metrics) = get(&house, "/metrics", TOKEN).await;
    let (mut helped, mut typed, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in metrics.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["#", "HELP", name, _, ..] => assert!(helped.insert(name), "{line}"),
            ["#", "TYPE", name, "gauge" | "counter" | "histogram"] => {
                assert!(helped.contains(name) && typed.insert(name), "{line}");
            }
            [sample, number] => {
                assert!(typed.contains(family(line)) && seen.insert(sample), "{line}");
                number.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(helped, typed);
    house.running.stop().await;
}
