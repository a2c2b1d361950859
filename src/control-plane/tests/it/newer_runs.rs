//! Lists of runs: one's own and those that are searched, page by page, and what narrows them.

use crate::{
    house::{House, ONE_JOB, OPERATOR, data_dir, finish, get, new_pipeline, request},
    newer::{read, refused},
    people::{person, project_token},
};
use protocol::{
    Outcome, PipelineId,
    api::{CommitValues, GitValues},
};
use serde_json::{Value, json};
use store::{PipelineRow, Store, Write};
use uuid::Uuid;

const TOKEN: Option<(&str, &str)> = Some(("Circle-Token", OPERATOR));
/// Of `gh/acme/shop`.
const PROJECT: &str = "9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d";

fn sought(filter: &str, cursor: &str, limit: u32) -> Value {
    let scope = json!({ "project_ids": [PROJECT], "from": "2026-01-01T00:00:00Z", "to": "2999-01-01T00:00:00+02:00" });
    json!({ "scope": scope, "filter": filter, "page": { "cursor": cursor, "limit": limit } })
}

async fn searched(house: &House, asked: &Value) -> (u16, Value) {
    let (status, body) = request(house, "POST", "/api/v3/runs/search", TOKEN, &asked.to_string()).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

/// A pipeline on a branch.
async fn on(house: &House, branch: &str, revision: &str) -> String {
    let mut new = new_pipeline(ONE_JOB);
    new.git = GitValues {
        revision: Some(revision.to_owned()),
        branch: Some(branch.to_owned()),
        url: Some("https://me:pw@github.com/acme/shop.git".to_owned()),
        commit: CommitValues {
            subject: "Teach".to_owned(),
            author_name: "Ada".to_owned(),
            ..CommitValues::default()
        },
        ..GitValues::default()
    };
    house.operator.create_pipeline(&new).await.unwrap().id.to_string()
}

#[actix_web::test]
async fn a_run_says_of_what_it_is() {
    let house = House::new().await;
    let id = on(&house, "main", "f00").await;
    let run = read(&house, &format!("/api/v3/runs/{id}")).await["data"].clone();
    let vcs = json!({ "branch": "main", "revision": "f00", "origin_repository_url": "https://github.com/acme/shop.git",
        "commit": { "subject": "Teach", "author": { "name": "Ada" } } });
    let operator = read(&house, "/api/v3/users?filter[user_id]=me").await["data"][0]["id"].clone();
    let references = json!({ "event": { "attributes": { "vcs": vcs } }, "project": { "id": PROJECT },
        "trigger": { "attributes": { "event_source": { "type": "api" } } }, "user": { "id": operator } });
    assert_eq!(run["references"], references);
    assert_eq!((&run["attributes"]["phase"], &run["attributes"]["errors"]), (&json!("queued"), &json!([])));
    house.running.stop().await;
}

#[actix_web::test]
async fn pages_follow_each_other_and_lose_nothing_while_new_runs_come() {
    let house = House::new().await;
    let mut made = Vec::new();
    for _ in 0..45 {
        made.push(house.pipeline(ONE_JOB).await.id.to_string());
    }
    made.reverse();
    let (mut mine, mut all, mut cursors) = (Vec::new(), Vec::new(), [String::new(), String::new()]);
    for size in [20, 20, 5] {
        let path = format!("/api/v3/runs?filter[user_id]=me&page[limit]=20{}", cursors[0]);
        let page = read(&house, &path).await;
        let (status, found) = searched(&house, &sought("", &cursors[1], 20)).await;
        assert!(status == 200 && ids(&page).len() == size && ids(&found).len() == size, "{page} {found}");
        assert!(page["page"]["prev"].is_null(), "{page}");
        mine.extend(ids(&page));
        all.extend(ids(&found));
        let next = |list: &Value| list["page"]["next"].as_str().map(str::to_owned);
        assert_eq!((next(&page).is_some(), next(&found).is_some()), (size == 20, size == 20));
        cursors =
            [format!("&page[cursor]={}", next(&page).unwrap_or_default()), next(&found).unwrap_or_default()];
        house.pipeline(ONE_JOB).await;
    }
    assert_eq!((&mine, &all), (&made, &made));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_rare_run_is_found_behind_many_others() {
    let house = House::new().await;
    let rare = house.pipeline(ONE_JOB).await.id.to_string();
    finish(&house.runner().await, Outcome::Failed).await;
    for _ in 0..260 {
        house.pipeline(ONE_JOB).await;
    }
    let (_, found) = searched(&house, &sought(r#"pipeline.status == "failed""#, "", 1)).await;
    assert_eq!((ids(&found), &found["page"]["next"]), (vec![rare.clone()], &Value::Null));
    let path =
        "/api/v3/runs?filter[user_id]=me&filter[phase]=ended&filter[current_outcome]=failed&page[limit]=10";
    assert_eq!(ids(&read(&house, path).await), [rare]);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_page_for_which_too_many_were_looked_at_is_short_and_says_from_where_to_go_on() {
    let house = House::new().await;
    let rare = house.pipeline(ONE_JOB).await.id;
    finish(&house.runner().await, Outcome::Failed).await;
    house.running.stop().await;
    let store = Store::open(&data_dir(&house.folder).join("store.db")).await.unwrap();
    let (_, row) = store.pipeline_row(rare).await.unwrap().unwrap();
    let younger = |number: u16| {
        let (number, created_ms) = (u64::from(number) + 10, row.created_ms + i64::from(number) + 1);
        Write::Pipeline(
            PipelineRow { id: PipelineId(Uuid::now_v7()), number, created_ms, ..row.clone() }.into(),
        )
    };
    store.write(None, (0..4100).map(younger).collect()).await.unwrap();
    store.close().await;
    let house = House::over(house.folder, |_| {}).await;
    let failed = |cursor: &str| sought(r#"pipeline.status == "failed""#, cursor, 1);
    let (_, first) = searched(&house, &failed("")).await;
    assert_eq!(ids(&first), Vec::<String>::new());
    let next = first["page"]["next"].as_str().unwrap_or_else(|| panic!("{first}"));
    let (_, second) = searched(&house, &failed(next)).await;
    assert_eq!((ids(&second), &second["page"]["next"]), (vec![rare.to_string()], &Value::Null));
    house.running.stop().await;
}

#[actix_web::test]
async fn runs_are_narrowed_by_branch_commit_status_phase_and_time() {
    let house = House::new().await;
    let old = on(&house, "main", "f00").await;
    let runner = house.runner().await;
    finish(&runner, Outcome::Success).await;
    let failed = on(&house, "main", "f01").await;
    finish(&runner, Outcome::Failed).await;
    let waiting = on(&house, "other \"one\"", "f02").await;
    let find = async |filter: &str| {
        let (status, found) = searched(&house, &sought(filter, "", 20)).await;
        assert_eq!(status, 200, "{found}");
        ids(&found)
    };
    assert_eq!(find("").await, [&*waiting, &*failed, &*old]);
    assert_eq!(find(r#"pipeline.git.branch == "main""#).await, [&*failed, &*old]);
    assert_eq!(find(r#"pipeline.git.branch == "main" and pipeline.status == "success""#).await, [&*old]);
    assert_eq!(find(r#"pipeline.git.branch == "other \"one\"""#).await, [&*waiting]);
    assert_eq!(find(r#"pipeline.git.revision == "f01" and pipeline.git.branch == "main""#).await, [&*failed]);
    assert_eq!(find(r#"pipeline.status == "queued""#).await, [&*waiting]);
    assert_eq!(find(r#"pipeline.status == "unauthorized""#).await, Vec::<String>::new());
    let mine =
        async |filter: &str| ids(&read(&house, &format!("/api/v3/runs?filter[user_id]=me{filter}")).await);
    assert_eq!(mine("&filter[phase]=queued").await, [&*waiting]);
    assert_eq!(mine("&filter[phase]=ended&filter[current_outcome]=succeeded").await, [&*old]);
    assert_eq!(mine("&filter[to]=2001-01-01T00:00:00Z").await, Vec::<String>::new());
    assert_eq!(mine("&filter[from]=2001-01-01T00:00:00%2B01:00").await.len(), 3);
    // Its second has not passed: a time in whole seconds is all of it.
    let made =
        read(&house, &format!("/api/v3/runs/{waiting}")).await["data"]["attributes"]["created_at"].clone();
    let second = format!("{}Z", made.as_str().unwrap().split('.').next().unwrap());
    assert!(mine(&format!("&filter[to]={second}")).await.contains(&waiting), "{made} is within {second}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_run_of_which_nothing_is_to_run_has_ended_so() {
    let house = House::new().await;
    let wanted = json!(["ended", "not_run"]);
    let config = ONE_JOB.to_owned() + "workflows: {w: {when: false, jobs: [build]}}\n";
    let id = house.pipeline(&config).await.id;
    let run = read(&house, &format!("/api/v3/runs/{id}")).await["data"]["attributes"].clone();
    assert_eq!(json!([run["phase"], run["current_outcome"]]), wanted, "{run}");
    house.running.stop().await;
}

#[actix_web::test]
async fn lists_show_what_their_reader_may_see_and_their_own_what_they_had_made() {
    let house = House::new().await;
    let id = house.pipeline(ONE_JOB).await.id.to_string();
    let bob = person(&house, "bob", &[("gh/acme", "member")]).await;
    let own =
        house.transport.operator(&bob).create_pipeline(&new_pipeline(ONE_JOB)).await.unwrap().id.to_string();
    let check = async |name: &str, token: &str, mine: &[&str], search: u16| {
        let header = Some(("Circle-Token", token));
        let (status, body) = get(&house, "/api/v3/runs?filter[user_id]=me", header).await;
        let listed = ids(&serde_json::from_str(&body).unwrap());
        assert_eq!(
            (status, listed),
            (200, mine.iter().map(|id| (*id).to_owned()).collect()),
            "{name}: {body}"
        );
        let (status, body) =
            request(&house, "POST", "/api/v3/runs/search", header, &sought("", "", 20).to_string()).await;
        assert_eq!(status, search, "{name}: {body}");
        assert_eq!(body.contains(&id) && body.contains(&own), search == 200, "{name}: {body}");
    };
    check("the operator", OPERATOR, &[&id], 200).await;
    check("bob", &bob, &[&own], 200).await;
    check("eve", &person(&house, "eve", &[("github/acme", "viewer")]).await, &[], 200).await;
    check("mallory", &person(&house, "mallory", &[("gh/other", "admin")]).await, &[], 404).await;
    check("guest", &person(&house, "guest", &[("*", "viewer")]).await, &[], 200).await;
    check("view", &project_token(&house, "gh/acme/shop", "view-builds").await, &[], 200).await;
    check("status", &project_token(&house, "gh/acme/shop", "status").await, &[], 404).await;
    check("neighbor", &project_token(&house, "gh/acme/shop2", "all").await, &[], 404).await;
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_not_offered_is_refused_by_name() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    for (query, why) in [
        ("", "say whose"),
        ("filter[user_id]=00000000-0000-0000-0000-000000000000", "say whose"),
        ("filter[user_id]=me&filter[phase]=sleeping", "unknown variant `sleeping`"),
        ("filter[user_id]=me&filter[branch]=main", "unknown field `filter[branch]`"),
        ("filter[user_id]=me&filter[from]=yesterday", "`yesterday` is no time"),
        ("filter[user_id]=me&page[limit]=21", "1 to 20 runs, not 21"),
        ("filter[user_id]=me&page[limit]=0", "1 to 20 runs, not 0"),
        ("filter[user_id]=me&page[cursor]=7", "the cursor is none that an answer of this call gave"),
    ] {
        let told = refused(&house, &format!("/api/v3/runs?{query}"), 400).await;
        assert!(told.contains(why), "{query}: {told}");
    }
    let plain = sought("", "", 20);
    let with = |key: &str, value: Value| {
        let mut asked = plain.clone();
        asked[key] = value;
        asked
    };
    for (asked, status, why) in [
        (
            with("filter", json!("pipeline.number == \"1\"")),
            400,
            "`filter`: `pipeline.number` is not offered here",
        ),
        (with("order_by", json!("created_at")), 400, "`order_by` is not offered"),
        (with("sort", json!("x")), 400, "unknown field `sort`"),
        (with("scope", json!({ "project_ids": [] })), 400, "name 1 to 100 projects"),
        (
            with("scope", json!({ "project_ids": ["00000000-0000-0000-0000-000000000000"] })),
            404,
            "there is no project",
        ),
        (with("page", json!({ "limit": 100 })), 400, "1 to 20 runs"),
    ] {
        let (found, told) = searched(&house, &asked).await;
        assert_eq!(found, status, "{asked}: {told}");
        assert!(told["error"]["detail"].as_str().unwrap().contains(why), "{asked}: {told}");
    }
    house.running.stop().await;
}
