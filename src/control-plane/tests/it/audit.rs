//! The audit log: what it tells, whom, and that nothing in it is ever changed.

use crate::{
    house::{House, ONE_JOB, OPERATOR, data_dir, get, post, request},
    page,
    people::{cookie, person, project_token},
};
use control_plane::Retention;
use serde_json::Value;
use std::time::Duration;

const KEY: &str = "/api/v3/ssh-keys/gh/acme/shop";

/// All lines that a caller reads, the oldest first: who, what, where, to what.
async fn lines(house: &House, token: &str, query: &str) -> Vec<[String; 4]> {
    let mut all = Vec::new();
    let mut page = String::new();
    loop {
        let path = format!("/api/v3/audit?{query}{page}");
        let (status, body) = get(house, &path, Some(("Circle-Token", token))).await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        let items = body["items"].as_array().unwrap();
        all.extend(
            items
                .iter()
                .map(|line| ["actor", "action", "organization", "subject"].map(|name| text(line, name))),
        );
        match body["next_page_token"].as_str() {
            Some(next) => page = format!("&page-token={next}"),
            None => break,
        }
    }
    all.reverse();
    all
}

fn has(lines: &[[String; 4]], wanted: [&str; 4]) -> bool {
    lines.iter().any(|line| {
        let [actor, action, organization, subject] = wanted;
        line[0] == actor && line[1] == action && line[2] == organization && line[3].contains(subject)
    })
}

#[actix_web::test]
async fn what_people_do_is_told_by_name_and_no_secret_with_it() {
    let house = House::new().await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let secret = project_token(&house, "gh/acme/shop", "all").await;
    let shown = cookie(&house, &ada).await;
    let may = Some(("Circle-Token", ada.as_str()));
    let (_, key) = request(&house, "POST", KEY, may, r#"{"checkout": true}"#).await;
    let fingerprint =
        serde_json::from_str::<Value>(&key).unwrap()["fingerprint"].as_str().unwrap().to_owned();
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let cancel = format!("/api/v2/pipeline/{pipeline}/cancel");
    assert_eq!(request(&house, "POST", &cancel, may, "").await.0, 202);
    let workflow = house.view(pipeline).await.workflows[0].id;
    assert_eq!(request(&house, "POST", &format!("/api/v2/workflow/{workflow}/rerun"), may, "").await.0, 202);
    let lines = lines(&house, OPERATOR, "").await;
    for wanted in [
        ["operator", "resource-class.create", "*", "acme/linux"],
        ["operator", "user.create", "*", "ada"],
        ["operator", "role.give", "gh/acme", "ada: admin"],
        ["operator", "token.create", "*", "ada: the token `laptop` (RHPAT_"],
        ["operator", "token.create", "gh/acme", "gh/acme/shop: the token `all` (RHPRJ_"],
        ["ada", "sign-in", "*", "the page"],
        ["ada", "ssh-key.create", "gh/acme", &fingerprint],
        ["ada", "cancel", "gh/acme", &format!("gh/acme/shop: pipeline {pipeline}")],
        ["ada", "rerun", "gh/acme", &workflow.to_string()],
    ] {
        assert!(has(&lines, wanted), "{wanted:?}: {lines:#?}");
    }
    let cookie = shown.split_once('=').unwrap().1;
    for secret in [&ada, &secret, OPERATOR, cookie] {
        assert!(!format!("{lines:?}").contains(secret));
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn what_was_refused_is_not_told_as_done_and_strangers_read_nothing() {
    let house = House::new().await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let bob = person(&house, "bob", &[("gh/acme", "member")]).await;
    let before = lines(&house, OPERATOR, "").await.len();
    let may = Some(("Circle-Token", bob.as_str()));
    assert_eq!(request(&house, "POST", KEY, may, r#"{"checkout": true}"#).await.0, 403);
    assert_eq!(post(&house, "/api/v3/people", r#"{"login": "ada"}"#).await.0, 409);
    assert_eq!(page::get(&house, "/?token=wrong", "").await.status, 401);
    assert_eq!(lines(&house, OPERATOR, "").await.len(), before);
    let own = lines(&house, &ada, "organization=github/acme").await;
    assert!(own.len() == 2 && own.iter().all(|line| line[2] == "gh/acme"), "{own:?}");
    for (token, path, status) in [
        (&ada, "/api/v3/audit", 403),
        (&ada, "/api/v3/audit?organization=gh/other", 404),
        (&bob, "/api/v3/audit?organization=gh/acme", 403),
        (&ada, "/api/v3/audit?organization=gh/acme&page-token=x", 400),
    ] {
        assert_eq!(get(&house, path, Some(("Circle-Token", token))).await.0, status, "{path}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn pages_of_the_log_miss_nothing_and_old_lines_go() {
    let house = House::new().await;
    for number in 0..130 {
        person(&house, &format!("p{number}"), &[]).await;
    }
    let all = lines(&house, OPERATOR, "").await;
    let made = all.iter().filter(|line| line[1] == "user.create").map(|line| line[3].clone());
    assert_eq!(made.collect::<Vec<_>>(), (0..130).map(|number| format!("p{number}")).collect::<Vec<_>>());
    let every = Duration::from_millis(20);
    let retention = Retention { audit_for: Duration::ZERO, every, ..Retention::SERVER };
    let house = house.again(|settings| settings.retention = retention).await;
    house.until_swept().await;
    assert_eq!(lines(&house, OPERATOR, "").await.len(), 0);
    assert!(data_dir(&house.folder).join("store.db").exists());
    house.running.stop().await;
}
