//! Logins for checkouts over https: which task is given which, by an App and by a project's token.

use crate::house::{House, OPERATOR, claim_one, get, new_pipeline, with_body};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use control_plane::{Answering, Ask, Outbound, Post, Reply};
use protocol::{repository::Login, task::Source};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PROJECT: &str = "gh/acme/app";
const URL: &str = "https://git.example/acme/app.git";
const KEY: &[u8] = include_bytes!("../rsa-2048.pk8");

/// GitHub, which numbers the tokens that it gives, and gives them for this repository.
#[derive(Debug)]
struct Github {
    asked: Mutex<Vec<Value>>,
    status: u16,
    permissions: Value,
}

impl Github {
    fn new(status: u16, permissions: Value) -> Arc<Self> {
        Arc::new(Self { asked: Mutex::default(), status, permissions })
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

impl Outbound for Github {
    fn post<'a>(&'a self, post: &'a Post) -> Answering<'a> {
        assert_eq!(post.url, "https://git.example/api/v3/app/installations/9/access_tokens");
        let mut asked = self.asked.lock().unwrap();
        asked.push(serde_json::from_slice(&post.body).unwrap());
        let body = json!({
            "token": format!("ghs_{}", asked.len()), "permissions": self.permissions,
            "repositories": [{"full_name": "acme/app"}],
        });
        let reply = Reply { status: self.status, pause: None, body: body.to_string() };
        Box::pin(async move { Ok(reply) })
    }

    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a> {
        unreachable!("an App posts alone: {}", ask.url)
    }
}

async fn house(github: &Arc<Github>) -> House {
    let outbound: Arc<dyn Outbound> = github.clone();
    House::with(|settings| settings.outbound = Some(outbound)).await
}

/// Names the repository of the project, with these fields beside.
async fn named(house: &House, beside: Value) -> (u16, String) {
    let mut body = json!({ "url": URL, "provider": "github" });
    body.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    with_body(house, "PUT", &format!("/api/v3/repositories/{PROJECT}"), &body.to_string()).await
}

fn app() -> Value {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(KEY));
    json!({ "id": "7", "installation": 9, "private_key": key })
}

/// What a task with this step and this repository is given, each time that it asks.
async fn given(house: &House, step: &str, url: &str) -> [Login; 2] {
    let mut new = new_pipeline(&format!(
        "version: 2.1\njobs:\n  build: {{machine: true, resource_class: acme/linux, steps: [{step}]}}\n"
    ));
    let (revision, url) = ("1".repeat(40), url.to_owned());
    new.source = Source::Git { url, revision, branch: Some("main".to_owned()), tag: None };
    PROJECT.clone_into(&mut new.project);
    house.operator.create_pipeline(&new).await.unwrap();
    let (_, task) = claim_one(&house.runner().await).await;
    [task.config().await.unwrap().login, task.config().await.unwrap().login]
}

fn shown(password: &str) -> Login {
    Login::Shown { user: "x-access-token".to_owned(), password: password.to_owned() }
}

/// Why there is none.
fn why(login: &Login) -> &str {
    let Login::Withheld { why } = login else { panic!("{login:?}") };
    why
}

#[actix_web::test]
async fn each_task_that_checks_out_is_given_a_token_of_its_own_that_reads_its_repository_alone() {
    let github = Github::new(201, json!({ "contents": "read", "metadata": "read" }));
    let house = house(&github).await;
    let (status, made) = named(&house, json!({ "app": app() })).await;
    assert!(status == 200 && made.contains("\"jobs_check_out_with\":\"app\""), "{made}");
    assert_eq!(given(&house, "checkout", URL).await, [shown("ghs_1"), shown("ghs_2")]);
    let wanted = json!({ "repositories": ["app"], "permissions": {"contents": "read"} });
    assert_eq!(github.asked(), [wanted.clone(), wanted]);
    assert_eq!(given(&house, "run: make", URL).await, [Login::None, Login::None]);
    assert_eq!(given(&house, "checkout", "git@git.example:acme/app.git").await[0], Login::None);
    for url in ["https://git.example/acme/app", "https://elsewhere.example/acme/app.git"] {
        let [login, _] = given(&house, "checkout", url).await;
        assert!(why(&login).contains("not the address of its project's repository"), "{url}: {login:?}");
    }
    assert_eq!(github.asked().len(), 2, "nobody else is asked for");
    let (_, listed) = get(&house, "/api/v3/repositories", Some(("Circle-Token", OPERATOR))).await;
    assert!(!listed.contains("ghs_") && !listed.contains("PRIVATE"), "{listed}");
    let (status, said) = named(&house, json!({ "app": app(), "jobs_check_out_with": "nothing" })).await;
    assert_eq!(status, 200, "{said}");
    assert!(why(&given(&house, "checkout", URL).await[0]).contains("--jobs-check-out-with nothing"));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_token_that_reaches_further_or_is_not_given_is_no_jobs_and_its_log_says_why() {
    for (status, permissions, expected, asked) in [
        (201, json!({ "contents": "write" }), "no token that reads acme/app and nothing else", 2),
        (422, json!({}), "the GitHub App 7 gives no token: status 422", 2),
        // It may pass: each time that a task asks, it is tried thrice.
        (502, json!({}), "the GitHub App 7 gives no token: status 502", 6),
    ] {
        let github = Github::new(status, permissions);
        let house = house(&github).await;
        assert_eq!(named(&house, json!({ "app": app() })).await.0, 200);
        for login in given(&house, "checkout", URL).await {
            assert!(why(&login).contains(expected), "{login:?}");
        }
        assert_eq!(github.asked().len(), asked, "{expected}");
        house.running.stop().await;
    }
}

#[actix_web::test]
async fn the_projects_token_is_a_jobs_only_where_that_was_said() {
    let house = House::new().await;
    let none = given(&house, "checkout", URL).await;
    assert!(why(&none[0]).contains("not the address of its project's repository"), "{none:?}");
    assert_eq!(named(&house, json!({})).await.0, 200);
    let none = given(&house, "checkout", URL).await;
    assert!(why(&none[0]).contains("neither a GitHub App nor a token"), "{none:?}");
    assert_eq!(named(&house, json!({ "token": "a-token" })).await.0, 200);
    let kept = given(&house, "checkout", URL).await;
    assert!(why(&kept[0]).contains("--jobs-check-out-with token"), "{kept:?}");
    let said = json!({ "token": "a-token", "jobs_check_out_with": "token" });
    let (status, made) = named(&house, said).await;
    assert!(status == 200 && made.contains("\"jobs_check_out_with\":\"token\""), "{made}");
    assert_eq!(given(&house, "checkout", URL).await, [shown("a-token"), shown("a-token")]);
    let house = house.again(|_| ()).await;
    assert_eq!(given(&house, "checkout", URL).await[0], shown("a-token"), "a restart later");
    for (beside, expected) in [
        (json!({ "jobs_check_out_with": "token" }), "it is given none"),
        (json!({ "app": app(), "jobs_check_out_with": "token" }), "it is given none"),
        (json!({ "jobs_check_out_with": "always" }), "always"),
    ] {
        let (status, said) = named(&house, beside).await;
        assert!(status == 400 && said.contains(expected), "{said}");
    }
    house.running.stop().await;
}
