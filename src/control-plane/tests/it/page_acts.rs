//! What visitors do on the page, and reports of jobs that open in it.

use crate::{
    house::{House, ONE_JOB, claim_one},
    page::{begun, browser, dom, get, post, read, signed_in, store_bytes},
};
use protocol::{JobStatus, PipelineId, WorkflowStatus};

const HELD: &str = "
version: 2.1
jobs: {last: {machine: true, resource_class: acme/linux, steps: [run: make]}}
workflows: {main: {jobs: [hold: {type: approval}, last: {requires: [hold]}]}}
";

/// The key in the forms of a page.
async fn key(house: &House, page: &str) -> String {
    let text = read(house, page).await;
    let (_, key) = text.split_once("name=\"key\" value=\"").expect("the page has a form");
    format!("key={}", key.split('"').next().unwrap_or_default())
}

/// Where the forms of a page lead to.
async fn actions(house: &House, page: &str) -> Vec<String> {
    let text = read(house, page).await;
    text.split("action=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
        // On every page.
        .filter(|action| action != "/sign-out")
        .collect()
}

async fn status(house: &House, pipeline: PipelineId) -> Vec<WorkflowStatus> {
    house.view(pipeline).await.workflows.iter().map(|workflow| workflow.status).collect()
}

#[actix_web::test]
async fn a_visitor_approves_cancels_and_reruns_by_the_forms_of_the_page() {
    let house = House::new().await;
    let pipeline = house.pipeline(HELD).await.id;
    let page = format!("/pipelines/{pipeline}");
    let (cookie, key) = (signed_in(&house).await, key(&house, &page).await);
    let shown = actions(&house, &page).await;
    let [cancel, approve] = shown.as_slice() else { panic!("{shown:?}") };
    let answer = post(&house, approve, &cookie, &key).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(&*page)), "{}", answer.text());
    assert_eq!(house.view(pipeline).await.workflows[0].jobs[0].status, JobStatus::Success);
    let again = post(&house, approve, &cookie, &key).await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("was approved already"), "{}", again.text());
    assert_eq!(post(&house, cancel, &cookie, &key).await.status, 303);
    assert_eq!(status(&house, pipeline).await, [WorkflowStatus::Canceled]);
    let rerun = actions(&house, &page).await.remove(0);
    assert_eq!(post(&house, &rerun, &cookie, &format!("{key}&from=start")).await.status, 303);
    assert_eq!(status(&house, pipeline).await, [WorkflowStatus::Canceled, WorkflowStatus::OnHold]);
    assert_eq!(post(&house, &format!("{page}/cancel"), &cookie, &key).await.status, 303);
    assert_eq!(status(&house, pipeline).await, [WorkflowStatus::Canceled, WorkflowStatus::Canceled]);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_form_that_no_page_of_this_visitor_made_changes_nothing() {
    let house = House::new().await;
    let pipeline = house.pipeline(HELD).await.id;
    let page = format!("/pipelines/{pipeline}");
    let (cookie, own) = (signed_in(&house).await, key(&house, &page).await);
    for action in actions(&house, &page).await {
        assert_eq!(post(&house, &action, "", &own).await.status, 401, "{action}");
        assert_eq!(post(&house, &action, &cookie, "").await.status, 400, "{action}");
        let other = format!("key={}", "0".repeat(64));
        assert_eq!(post(&house, &action, &cookie, &other).await.status, 409, "{action}");
        assert_eq!(get(&house, &action, &cookie).await.status, 404, "{action}");
    }
    assert_eq!(status(&house, pipeline).await, [WorkflowStatus::OnHold]);
    let nobodys = format!("/workflows/{}/cancel", uuid::Uuid::nil());
    assert_eq!(post(&house, &nobodys, &cookie, &own).await.status, 404);
    house.running.stop().await;
}

/// What tells on the page itself how far its script gets.
const REPORT: &str = "<!doctype html><link rel=stylesheet href=style.css><h1>report</h1><script src=more.js></script><script>
const say = (id, text) => document.body.append(Object.assign(document.createElement('p'), { id, textContent: `${id}: ${text}` }));
say('cookie', (() => { try { return document.cookie || 'none' } catch { return 'none to see' } })());
fetch('/api/v3/pipelines/PIPELINE').then((answer) => say('api', `answered ${answer.status}`), () => say('api', 'out of reach'));
fetch('data.json').then((answer) => answer.text()).then((text) => say('data', text), () => say('data', 'out of reach'));
</script>";

#[actix_web::test]
async fn a_report_opens_with_its_scripts_and_reaches_nothing_but_what_lies_beside_it() {
    let house = House::new().await;
    let (_, task, job, pipeline) = begun(&house).await;
    let report = REPORT.replace("PIPELINE", pipeline.rsplit('/').next().unwrap());
    store_bytes(&task, &["out/index.html"], report.as_bytes()).await;
    store_bytes(&task, &["out/more.js"], b"document.title = 'scripts of its own run'").await;
    store_bytes(&task, &["out/style.css", "out/data.json"], b"h1{color:red}").await;
    let opened = format!("/jobs/{}/0/artifacts/out/index.html", job.id);
    assert_eq!(get(&house, &opened, "").await.status, 401);
    let answer = get(&house, &opened, &signed_in(&house).await).await;
    let address = answer.header("location").unwrap().to_owned();
    let shown = get(&house, &address, "").await;
    assert_eq!((shown.status, shown.header("content-type")), (200, Some("text/html")));
    let rules = shown.header("content-security-policy").unwrap();
    assert!(rules.starts_with("sandbox allow-scripts") && !rules.contains("allow-same-origin"), "{rules}");
    let page = read(&house, &format!("/jobs/{}/0/0", job.id)).await;
    assert!(page.contains(&format!("href=\"{opened}\"")), "{page}");
    if let Some(browser) = browser() {
        let url = format!("http://{}{address}", house.running.address);
        let dom = actix_web::web::block(move || dom(browser, &url)).await.unwrap();
        for told in
            ["scripts of its own run", "cookie: none to see", "api: out of reach", "data: h1{color:red}"]
        {
            assert!(dom.contains(told), "{told}: {dom}");
        }
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn an_address_of_a_report_is_good_for_one_task_and_for_hours() {
    let house = House::new().await;
    let (_, task, job, _) = begun(&house).await;
    store_bytes(&task, &["a.html", "b.html"], b"<p>").await;
    let opened = format!("/jobs/{}/0/artifacts/a.html", job.id);
    let answer = get(&house, &opened, &signed_in(&house).await).await;
    let address = answer.header("location").unwrap().to_owned();
    assert_eq!(get(&house, &address.replace("a.html", "b.html"), "").await.status, 200);
    let (until, rest) = address.trim_start_matches("/reports/").split_once('-').unwrap();
    let other_task = address.replace("/0/", "/1/");
    let later = format!("/reports/{}-{rest}", until.parse::<i64>().unwrap() + 1);
    let past = format!("/reports/1-{rest}");
    for forged in [
        other_task,
        later,
        past,
        address.replace("a.html", "..%2fa.html"),
        "/reports/1/x/0/a".to_owned(),
        "/reports/1-x/x/-7/a".to_owned(),
    ] {
        assert_eq!(get(&house, &forged, "").await.status, 404, "{forged}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn the_page_of_runners_says_who_serves_what_and_which_tasks_wait_for_nobody() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let waiting = read(&house, "/runners").await;
    assert!(
        waiting.contains("no live runner serves acme/linux") && waiting.contains("1 waiting"),
        "{waiting}"
    );
    let (_, _) = claim_one(&house.runner().await).await;
    let held = read(&house, "/runners").await;
    assert!(held.contains("1 live · 1 running · 0 waiting") && !held.contains("no live runner"), "{held}");
    assert!(held.contains(">build <span"), "{held}");
    house.running.stop().await;
}
