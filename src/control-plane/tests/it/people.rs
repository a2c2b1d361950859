//! People, their roles, and tokens of people and projects: made, used, listed, taken away.

use crate::{
    house::{House, ONE_JOB, OPERATOR, data_dir, get, log, post, request, settings},
    page,
};
use control_plane::start;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

/// Makes somebody known with these roles: a token of theirs.
pub(crate) async fn person(house: &House, login: &str, roles: &[(&str, &str)]) -> String {
    let (status, body) = post(house, "/api/v3/people", &format!(r#"{{"login": "{login}"}}"#)).await;
    assert_eq!(status, 201, "{body}");
    for (organization, role) in roles {
        let member = format!(r#"{{"login": "{login}", "role": "{role}"}}"#);
        let path = format!("/api/v3/members/{organization}");
        let given = request(house, "PUT", &path, operator(), &member).await;
        assert_eq!(given.0, 200, "{given:?}");
    }
    made(post(house, &format!("/api/v3/people/{login}/tokens"), r#"{"name": "laptop"}"#).await)
}

/// A token of a project.
pub(crate) async fn project_token(house: &House, project: &str, scope: &str) -> String {
    let body = format!(r#"{{"name": "{scope}", "scope": "{scope}"}}"#);
    made(post(house, &format!("/api/v3/project-tokens/{project}"), &body).await)
}

/// The cookie of whoever shows a token.
pub(crate) async fn cookie(house: &House, token: &str) -> String {
    let answer = page::get(house, &format!("/?token={token}"), "").await;
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

fn operator() -> Option<(&'static str, &'static str)> {
    Some(("Circle-Token", OPERATOR))
}

fn made((status, body): (u16, String)) -> String {
    assert_eq!(status, 201, "{body}");
    json(&body)["token"].as_str().unwrap().to_owned()
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// What a caller with a token of theirs gets.
async fn by(house: &House, token: &str, path: &str) -> (u16, String) {
    get(house, path, Some(("Authorization", &format!("Bearer {token}")))).await
}

#[actix_web::test]
async fn whoever_calls_is_told_who_they_are() {
    let house = House::new().await;
    let ada = person(&house, "ada", &[("gh/acme", "viewer")]).await;
    let me = json(&by(&house, &ada, "/api/v2/me").await.1);
    assert_eq!((me["login"].as_str(), me["name"].as_str()), (Some("ada"), Some("ada")));
    let id = me["id"].as_str().unwrap();
    let user = by(&house, &ada, &format!("/api/v2/user/{id}")).await;
    assert_eq!((user.0, json(&user.1)), (200, me));
    assert_eq!(json(&get(&house, "/api/v2/me", operator()).await.1)["login"], "operator");
    let token = project_token(&house, "gh/acme/shop", "all").await;
    assert_eq!(by(&house, &token, "/api/v2/me").await.0, 403);
    let slugs = json(&by(&house, &ada, "/api/v2/me/collaborations").await.1);
    assert_eq!(slugs[0]["slug"], "gh/acme", "{slugs}");
    house.running.stop().await;
}

#[actix_web::test]
async fn lists_show_what_their_reader_may_see_and_nothing_else() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let ada = person(&house, "ada", &[("github/acme", "viewer")]).await;
    let mallory = person(&house, "mallory", &[("gh/other", "admin")]).await;
    for (path, named) in [
        ("/api/v2/pipeline", "gh/acme/shop"),
        ("/api/v2/me/collaborations", "gh/acme"),
        ("/api/v3/runner/resource?namespace=acme", "acme/linux"),
    ] {
        let (status, seen) = by(&house, &ada, path).await;
        assert!(status == 200 && seen.contains(named), "{path}: {seen}");
        let (status, seen) = by(&house, &mallory, path).await;
        assert!(status == 200 && !seen.contains(named), "{path}: {seen}");
    }
    let page_of =
        async |token| page::get(&house, "/", &format!("Cookie: {}\r\n", cookie(&house, token).await)).await;
    assert!(page_of(&ada).await.text().contains("gh/acme/shop"));
    assert!(!page_of(&mallory).await.text().contains("gh/acme"));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_token_that_is_removed_and_a_person_who_is_opens_nothing_any_more_also_on_the_page() {
    let house = House::new().await;
    let ada = person(&house, "ada", &[("*", "viewer")]).await;
    let shown = format!("Cookie: {}\r\n", cookie(&house, &ada).await);
    assert_eq!(page::get(&house, "/", &shown).await.status, 200);
    let tokens = json(&by(&house, &ada, "/api/v3/people/me/tokens").await.1);
    let token = &tokens["items"][0];
    assert!(ada.starts_with(token["prefix"].as_str().unwrap()) && token["used_at"].is_string(), "{token}");
    assert!(token.get("token").is_none() && !tokens.to_string().contains(&ada), "{tokens}");
    let path = format!("/api/v3/people/ada/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(request(&house, "DELETE", &path, operator(), "").await.0, 200);
    assert_eq!(by(&house, &ada, "/api/v2/me").await.0, 401);
    assert_eq!(page::get(&house, "/", &shown).await.status, 401);
    let bob = person(&house, "bob", &[("*", "viewer")]).await;
    assert_eq!(request(&house, "DELETE", "/api/v3/people/bob", operator(), "").await.0, 200);
    assert_eq!(by(&house, &bob, "/api/v2/me").await.0, 401);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_role_that_is_taken_away_is_gone_at_once_and_all_is_as_it_was_after_a_start() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let bob = person(&house, "bob", &[("gh/acme", "viewer")]).await;
    let token = project_token(&house, "gh/acme/shop", "view-builds").await;
    let project = "/api/v2/project/gh/acme/shop";
    let ada_may = Some(("Circle-Token", ada.as_str()));
    let taken = request(&house, "DELETE", "/api/v3/members/gh/acme?login=bob", ada_may, "").await;
    assert_eq!((taken.0, by(&house, &bob, project).await.0), (200, 404));
    let house = house.again(|_| {}).await;
    assert_eq!(by(&house, &ada, project).await.0, 200);
    assert_eq!(by(&house, &token, project).await.0, 200);
    assert_eq!(by(&house, &bob, project).await.0, 404);
    let store = data_dir(&house.folder).join("store.db");
    for secret in [&ada, &bob, &token] {
        for file in [store.clone(), store.with_extension("db-wal")] {
            let bytes = fs::read(&file).unwrap_or_default();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file:?}");
        }
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_a_login_a_role_or_a_token_is_refused_by_name() {
    let house = House::new().await;
    person(&house, "ada", &[]).await;
    for (path, body, status, named) in [
        ("/api/v3/people", r#"{"login": "ada"}"#, 409, "the login ada is somebody's already"),
        ("/api/v3/people", r#"{"login": "me"}"#, 400, "`me` is no login"),
        ("/api/v3/people", r#"{"login": "a b"}"#, 400, "`a b` is no login"),
        ("/api/v3/people", r#"{"login": "operator"}"#, 400, "where no person had something done"),
        ("/api/v3/people/ada/tokens", r#"{"name": ""}"#, 400, "1 to 100 letters"),
        ("/api/v3/people/ada/tokens", r#"{"name": "n", "scope": "all"}"#, 400, "no `scope`"),
        ("/api/v3/people/bob/tokens", r#"{"name": "n"}"#, 404, "nobody here has the login bob"),
        ("/api/v3/project-tokens/gh/acme/shop", r#"{"name": "n"}"#, 400, "give `scope`"),
    ] {
        let (got, text) = post(&house, path, body).await;
        assert!(got == status && text.contains(named), "{path} {body}: {got} {text}");
    }
    for (organization, login, status) in
        [("gh//acme", "ada", 400), ("gh/*", "ada", 400), ("gh/acme", "bob", 404)]
    {
        let member = format!(r#"{{"login": "{login}", "role": "admin"}}"#);
        let path = format!("/api/v3/members/{organization}");
        assert_eq!(request(&house, "PUT", &path, operator(), &member).await.0, status, "{path}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn an_admin_of_an_organization_makes_nobody_more_than_that() {
    let house = House::new().await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let may = Some(("Circle-Token", ada.as_str()));
    let member = r#"{"login": "ada", "role": "admin"}"#;
    for organization in ["*", "%2A", "gh/other", "gl/acme", "gh/acme/deep", "gh"] {
        let path = format!("/api/v3/members/{organization}");
        assert_eq!(request(&house, "PUT", &path, may, member).await.0, 404, "{path}");
    }
    assert_eq!(request(&house, "PUT", "/api/v3/members/github.com%2Facme", may, member).await.0, 200);
    house.running.stop().await;
}

#[actix_web::test]
async fn an_approval_by_somebody_who_is_known_bears_their_name_whatever_they_say() {
    let house = House::new().await;
    let bob = person(&house, "bob", &[("gh/acme", "member")]).await;
    let config = "{version: 2.1, workflows: {w: {jobs: [hold: {type: approval}]}}}";
    let pipeline = house.pipeline(config).await.id;
    let workflow = house.view(pipeline).await.workflows.remove(0);
    let path = format!("/api/v2/workflow/{}/approve/{}", workflow.id, workflow.jobs[0].id);
    let answer = request(&house, "POST", &path, Some(("Circle-Token", &bob)), r#"{"by": "ada"}"#).await;
    assert_eq!(answer.0, 202, "{answer:?}");
    let job = house.view(pipeline).await.workflows.remove(0).jobs.remove(0);
    assert_eq!(job.approved_by.as_deref(), Some("bob"));
    house.running.stop().await;
}

#[actix_web::test]
async fn the_first_admin_comes_by_a_link_that_is_good_once() {
    let house = House::over(TempDir::new().unwrap(), |settings| settings.welcomes = true).await;
    let link = house.running.welcome.clone().unwrap();
    let path = link.strip_prefix(&format!("http://{}", house.running.address)).unwrap().to_owned();
    assert_eq!(page::get(&house, &path, "").await.status, 200);
    assert_eq!(page::get(&house, "/welcome/0123", "").await.status, 404);
    let enter = async |login: &str| page::post(&house, &path, "", &format!("login={login}")).await;
    assert_eq!(enter("not%20one").await.status, 400);
    let answer = enter("ada").await;
    assert_eq!(answer.status, 201);
    let text = answer.text();
    let token = text.split("<code>").nth(1).unwrap().split("</code>").next().unwrap();
    assert_eq!(json(&by(&house, token, "/api/v2/me").await.1)["login"], "ada");
    assert_eq!(by(&house, token, "/api/v3/people").await.0, 200);
    let shown = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(page::get(&house, "/", &format!("Cookie: {shown}\r\n")).await.status, 200);
    assert_eq!((enter("eve").await.status, page::get(&house, &path, "").await.status), (404, 404));
    let house = house.again(|settings| settings.welcomes = true).await;
    assert_eq!(house.running.welcome, None);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_link_is_no_way_in_once_somebody_is_known_and_none_is_made_where_none_is_wanted() {
    let folder = TempDir::new().unwrap();
    let running = start(settings(&folder), log()).await.unwrap();
    assert_eq!(running.welcome, None);
    running.stop().await;
    let house = House::over(folder, |settings| settings.welcomes = true).await;
    let link = house.running.welcome.clone().unwrap();
    let path = link.strip_prefix(&format!("http://{}", house.running.address)).unwrap().to_owned();
    person(&house, "ada", &[]).await;
    assert_eq!(page::get(&house, &path, "").await.status, 404);
    assert_eq!(page::post(&house, &path, "", "login=eve").await.status, 404);
    house.running.stop().await;
}
