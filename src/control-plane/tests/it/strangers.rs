//! Every call with every role and every kind of token, and with none: open to whom the OpenAPI document says, and to nobody
//! else.

use crate::{
    house::{House, ONE_JOB, OPERATOR, claim_one, get, request},
    openapi::{DOCUMENT, documented, filled},
    outgoing::{Receiver, WEBHOOK},
    page,
    people::{cookie, person, project_token},
};
use serde_json::Value;
use std::collections::BTreeMap;

const APPROVER: &str = "approver's token";
/// The project whose things are asked for, and its organization.
const PROJECT: &str = "gh/acme/shop";
const ORGANIZATION: &str = "gh/acme";
/// As ids.
const PROJECT_ID: &str = "9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d";
const ORGANIZATION_ID: &str = "19c611f4-f43d-847f-bc67-721e7c76b7be";

/// What somebody may, as the document writes it, from the least on.
const RIGHTS: [&str; 4] = ["status", "view", "act", "administer"];

/// How far a caller's right goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Known to nobody.
    Nowhere,
    /// One of the programs that have a kind of token of their own.
    Program,
    /// The organization, or the project of it.
    Organization(&'static str),
    Project(&'static str),
    /// Somewhere else, or nowhere yet.
    Elsewhere,
    ElsewhereProject(&'static str),
    Everywhere(&'static str),
}

struct Caller {
    name: &'static str,
    /// How the document calls the way in which the token comes.
    way: &'static str,
    header: Option<(&'static str, String)>,
    reach: Reach,
}

/// What a call needs, by the document.
struct Call {
    method: String,
    path: String,
    ways: Vec<&'static str>,
    right: &'static str,
    of: &'static str,
}

fn call((method, path): (String, String)) -> Call {
    let described: &'static Value = &DOCUMENT["paths"][&path][method.to_lowercase()];
    let ways = described.get("security").unwrap_or(&DOCUMENT["security"]).as_array().unwrap();
    let ways = ways.iter().flat_map(|way| way.as_object().unwrap().keys().map(String::as_str)).collect();
    // What says nothing is for those who may do everything.
    let needs = described.get("x-needs").and_then(Value::as_array);
    let word = |place: usize, default| needs.map_or(default, |needs| needs[place].as_str().unwrap());
    Call { right: word(0, "administer"), of: word(1, "everything"), method, path, ways }
}

impl Call {
    fn is_open_to(&self, caller: &Caller) -> bool {
        let is_enough = |right: &str| place(right) >= place(self.right);
        if self.ways.is_empty() {
            return true;
        }
        if !self.ways.contains(&caller.way) {
            return false;
        }
        match caller.reach {
            Reach::Nowhere => false,
            Reach::Program => true,
            Reach::Everywhere(right) if is_enough(right) => true,
            reach => match self.of {
                "stated" | "approvals" => true,
                "anything" => !matches!(reach, Reach::Project(_) | Reach::ElsewhereProject(_)),
                "orbs" => match reach {
                    Reach::Project(right) | Reach::ElsewhereProject(right) => is_enough(right),
                    _ => true,
                },
                "person" => caller.name.starts_with("ada"),
                "organization" | "organization id" | "class" | "class token" | "namespace" | "context" => {
                    matches!(reach, Reach::Organization(right) if is_enough(right))
                }
                "project" | "project id" | "pipeline" | "workflow" | "approval" | "job" | "task"
                | "schedule" | "webhook" => {
                    matches!(reach, Reach::Organization(right) | Reach::Project(right) if is_enough(right))
                }
                "everything" => false,
                other => panic!("`{other}` is not known to this test"),
            },
        }
    }
}

fn place(right: &str) -> usize {
    RIGHTS.iter().position(|one| *one == right).unwrap()
}

/// Things that are there, by the names of their places.
type Things = BTreeMap<&'static str, String>;

async fn things(house: &House) -> Things {
    let pipeline = house.pipeline(ONE_JOB).await.id;
    let view = house.view(pipeline).await;
    let (workflow, job) = (&view.workflows[0], &view.workflows[0].jobs[0]);
    let mut things = Things::from([
        ("pipeline", pipeline.to_string()),
        ("workflow", workflow.id.to_string()),
        ("approval", workflow.id.to_string()),
        ("job", job.id.to_string()),
        ("task", job.tasks[0].id.to_string()),
        ("project id", PROJECT_ID.to_owned()),
        ("organization id", ORGANIZATION_ID.to_owned()),
    ]);
    renew(house, &mut things).await;
    things
}

/// One that is due once in four years.
const SCHEDULE: &str = r#"{"name": "n", "attribution-actor": "current", "parameters": {"branch": "main"},
    "timetable": {"per-hour": 1, "hours-of-day": [0], "days-of-month": [29], "months": ["FEB"]}}"#;

/// A class and a token of it, a schedule and a webhook, in the place of those that may be gone.
async fn renew(house: &House, things: &mut Things) {
    let token = r#"{"resource_class": "acme/spare", "nickname": "n"}"#;
    let class = r#"{"resource_class": "acme/spare", "description": ""}"#;
    let operator = Some(("Circle-Token", OPERATOR));
    request(house, "POST", "/api/v3/runner/resource", operator, class).await;
    let (_, made) = request(house, "POST", "/api/v3/runner/token", operator, token).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    things.insert("class token", made["id"].as_str().unwrap().to_owned());
    let (_, classes) = get(house, "/api/v3/runner/resource?resource-class=acme/spare", operator).await;
    let classes: Value = serde_json::from_str(&classes).unwrap();
    let context = r#"{"name": "spare", "owner": {"slug": "gh/acme"}}"#;
    request(house, "POST", "/api/v2/context", operator, context).await;
    let (_, contexts) = get(house, "/api/v2/context?owner-slug=gh/acme", operator).await;
    let contexts: Value = serde_json::from_str(&contexts).unwrap();
    let spare = contexts["items"].as_array().unwrap().iter().find(|one| one["name"] == "spare").unwrap();
    things.insert("context", spare["id"].as_str().unwrap().to_owned());
    things.insert("class", classes["items"][0]["id"].as_str().unwrap().to_owned());
    let schedules = format!("/api/v2/project/{PROJECT}/schedule");
    let (status, listed) = get(house, &schedules, operator).await;
    assert_eq!(status, 200, "{listed}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    if listed["items"].as_array().unwrap().is_empty() {
        let place = format!("/api/v3/repositories/{PROJECT}");
        let repository = r#"{"url": "https://git.example/acme/shop", "provider": "github"}"#;
        request(house, "PUT", &place, operator, repository).await;
        let (status, made) = request(house, "POST", &schedules, operator, SCHEDULE).await;
        assert_eq!(status, 201, "{made}");
        // Its webhooks are signed, which no caller here does.
        request(house, "DELETE", &place, operator, "").await;
        let made: Value = serde_json::from_str(&made).unwrap();
        things.insert("schedule", made["id"].as_str().unwrap().to_owned());
    }
    renew_webhook(house, things).await;
}

async fn renew_webhook(house: &House, things: &mut Things) {
    let operator = Some(("Circle-Token", OPERATOR));
    let known = things.get("webhook").map(|id| format!("/api/v2/webhook/{id}"));
    if let Some(path) = known
        && get(house, &path, operator).await.0 == 200
    {
        return;
    }
    let (status, made) = request(house, "POST", "/api/v2/webhook", operator, WEBHOOK).await;
    assert_eq!(status, 201, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    things.insert("webhook", made["id"].as_str().unwrap().to_owned());
}

/// The address of a call, with what is there in its places.
fn address(call: &Call, things: &Things) -> String {
    // Whoever is removed calls no more.
    let login = if call.of == "everything" { "nobody" } else { "ada" };
    let mut path = call.path.clone();
    for (place, value) in
        [("slug", PROJECT), ("project", PROJECT), ("organization", ORGANIZATION), ("login", login)]
    {
        path = path.replace(&format!("{{{place}}}"), value);
    }
    if let Some(id) = things.get(call.of) {
        // The first place of an address is what it is about.
        if let Some((before, rest)) = path.split_once('{') {
            path = format!("{before}{id}{}", rest.split_once('}').unwrap().1);
        }
    }
    if call.of == "job" {
        path = path.replace("{task}", "0");
    }
    filled(&path)
}

/// What a call has to say to be about the organization, where its address does not.
fn stated(call: &Call) -> (&'static str, &'static str) {
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/api/v3/runner/tasks" | "/api/v3/runner/tasks/running" | "/api/v3/runner/token") => {
            ("?resource-class=acme/linux", "")
        }
        ("POST", "/api/v3/runner/resource") => ("", r#"{"resource_class": "acme/linux", "description": ""}"#),
        ("POST", "/api/v3/runner/token") => ("", r#"{"resource_class": "acme/linux", "nickname": ""}"#),
        ("POST", "/api/v3/pipelines") => (
            "",
            r#"{"project": "gh/acme/shop", "config": "version: 2.1", "config_path": "c", "source": "none"}"#,
        ),
        ("POST", "/api/v3/workflows/{id}/release/{job}") => ("", r#"{"status": "success"}"#),
        ("GET", "/api/v2/context") => ("?owner-slug=gh/acme", ""),
        ("POST", "/api/v2/context") => ("", r#"{"name": "deploy", "owner": {"slug": "gh/acme"}}"#),
        ("GET", "/api/v3/audit") => ("?organization=gh/acme", ""),
        ("POST", "/api/v2/project/{slug}/schedule") => ("", SCHEDULE),
        ("POST", "/api/v2/owner/{owner}/context/{context}/policy-bundle") => ("", r#"{"policies": {}}"#),
        ("POST", "/api/v2/owner/{owner}/context/{context}/decision") => ("", r#"{"input": ""}"#),
        ("PATCH", "/api/v2/owner/{owner}/context/{context}/decision/settings") => {
            ("", r#"{"enabled": false}"#)
        }
        ("PATCH", "/api/v2/schedule/{id}") | ("PUT", "/api/v2/webhook/{id}") => ("", "{}"),
        ("GET", "/api/v3/pipelines" | "/api/v3/triggers") => {
            ("?filter%5Bproject_id%5D=9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d", "")
        }
        ("GET", "/api/v2/webhook") => {
            ("?scope-id=9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d&scope-type=project", "")
        }
        ("POST", "/api/v2/webhook") => ("", WEBHOOK),
        ("GET", "/api/v2/pipeline") => ("?org-slug=gh/acme", ""),
        ("GET", "/api/v3/runs") => ("?filter[user_id]=me", ""),
        ("POST", "/api/v3/runs/search") => {
            ("", r#"{"scope": {"project_ids": ["9fc63dc2-7e4a-8dda-8c85-45f3e8a11d7d"]}}"#)
        }
        ("GET", "/api/v3/users") => ("?filter[user_id]=me", ""),
        _ => ("", ""),
    }
}

/// A stated subject by what is stated; lists show what may be seen, and refuse nobody.
fn subject(mut call: Call) -> Call {
    if call.of == "stated" {
        call.of = match (stated(&call), call.path.as_str()) {
            (("", ""), _) | (_, "/api/v3/runs") => "stated",
            (_, "/api/v3/pipelines" | "/api/v3/triggers" | "/api/v2/webhook" | "/api/v3/runs/search") => {
                "project"
            }
            (_, "/api/v2/pipeline" | "/api/v3/audit" | "/api/v2/context") => "organization",
            _ => "namespace",
        };
    }
    call
}

/// Whether an answer is what those get who may not call.
fn turned_away(call: &Call, (status, body): &(u16, String)) -> bool {
    let hidden = [
        "project",
        "organization",
        "pipeline",
        "workflow",
        "job",
        "task",
        "schedule",
        "webhook",
        "namespace",
    ];
    // And not a word about it.
    let hidden = hidden.iter().any(|kind| {
        let named = body.split_once(&format!("there is no {kind} "));
        named.is_some_and(|(_, name)| !name.split(['"', '<']).next().unwrap().contains(' '))
    });
    let hidden = hidden
        || body.contains("there is no such thing\"")
        || body.contains("no project of the organization");
    match (&call.ways[..], status) {
        (["runner" | "task"], _) => *status == 404 && body.is_empty(),
        (_, 401 | 403) => true,
        (_, 404) => hidden,
        _ => false,
    }
}

/// A page is long.
fn told((status, body): &(u16, String)) -> String {
    format!("{status} {}", body.chars().take(300).collect::<String>())
}

async fn people(house: &House) -> Vec<Caller> {
    let bearer = |name, token: String, reach| Caller {
        name,
        way: "bearer",
        header: Some(("Authorization", format!("Bearer {token}"))),
        reach,
    };
    let ada = person(house, "ada", &[(ORGANIZATION, "admin")]).await;
    let mallory = person(house, "mallory", &[("gh/other", "admin"), ("gl/acme", "admin")]).await;
    let with_cookie =
        |name, cookie: String, reach| Caller { name, way: "page", header: Some(("Cookie", cookie)), reach };
    vec![
        with_cookie("ada's cookie", cookie(house, &ada).await, Reach::Organization("administer")),
        with_cookie("mallory's cookie", cookie(house, &mallory).await, Reach::Elsewhere),
        bearer("ada", ada, Reach::Organization("administer")),
        bearer("bob", person(house, "bob", &[("github/acme", "member")]).await, Reach::Organization("act")),
        bearer(
            "eve",
            person(house, "eve", &[("github.com/acme", "viewer")]).await,
            Reach::Organization("view"),
        ),
        bearer("zoe", person(house, "zoe", &[]).await, Reach::Elsewhere),
        bearer("boss", person(house, "boss", &[("*", "admin")]).await, Reach::Everywhere("administer")),
        bearer("guest", person(house, "guest", &[("*", "viewer")]).await, Reach::Everywhere("view")),
        bearer("status", project_token(house, PROJECT, "status").await, Reach::Project("status")),
        bearer("view", project_token(house, PROJECT, "view-builds").await, Reach::Project("view")),
        bearer("all", project_token(house, "github/acme/shop", "all").await, Reach::Project("act")),
        bearer(
            "neighbor",
            project_token(house, "gh/acme/shop2", "all").await,
            Reach::ElsewhereProject("act"),
        ),
    ]
}

async fn programs(house: &House) -> Vec<Caller> {
    let caller = |name, way, header, reach| Caller { name, way, header, reach };
    let bearer = |token: &str| Some(("Authorization", format!("Bearer {token}")));
    let class = house.token().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    task.begin(claimed.epoch).await.unwrap();
    let signed_in = page::signed_in(house).await;
    let signed_in = signed_in.trim().trim_start_matches("Cookie: ").to_owned();
    let all = Reach::Everywhere("administer");
    vec![
        caller("nobody", "bearer", None, Reach::Nowhere),
        caller("a stranger", "bearer", bearer("another's token"), Reach::Nowhere),
        caller("a forged cookie", "page", Some(("Cookie", forged(&signed_in))), Reach::Nowhere),
        caller("the operator", "bearer", bearer(OPERATOR), all),
        caller("the operator", "circleToken", Some(("Circle-Token", OPERATOR.to_owned())), all),
        caller("the operator's cookie", "page", Some(("Cookie", signed_in)), all),
        caller("an approver", "approver", bearer(APPROVER), Reach::Program),
        caller("a launch-agent", "runner", bearer(&class), Reach::Program),
        caller("a task's holder", "task", bearer(&claimed.task_token), Reach::Program),
    ]
}

/// With another last digit.
fn forged(cookie: &str) -> String {
    let (rest, last) = cookie.split_at(cookie.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

async fn asked(house: &House, call: &Call, caller: &Caller, things: &Things) -> (u16, String) {
    let (query, body) = stated(call);
    let path = address(call, things) + query;
    let header = caller.header.as_ref().map(|(name, value)| (*name, value.as_str()));
    request(house, &call.method, &path, header, body).await
}

#[actix_web::test]
async fn every_call_is_open_to_those_whom_the_document_names_and_to_nobody_else() {
    let house = House::with(|settings| {
        settings.approver_token = Some(APPROVER.to_owned());
        settings.outbound = Some(Receiver::answering(200));
    })
    .await;
    let mut callers = programs(&house).await;
    callers.extend(people(&house).await);
    let mut things = things(&house).await;
    let calls: Vec<Call> = documented().into_iter().map(call).map(subject).collect();
    let mut turned = 0;
    for call in &calls {
        for caller in callers.iter().filter(|caller| !call.is_open_to(caller)) {
            let answer = asked(&house, call, caller, &things).await;
            let name = caller.name;
            assert!(turned_away(call, &answer), "{name} {} {}: {}", call.method, call.path, told(&answer));
            turned += 1;
        }
    }
    assert!(turned > 1000, "{turned}");
    // Those who may come last, for they change things; what removes things comes last of all.
    let (removing, others): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.method == "DELETE");
    for call in others.into_iter().chain(removing) {
        for caller in callers.iter().filter(|caller| call.is_open_to(caller)) {
            let answer = asked(&house, call, caller, &things).await;
            let name = caller.name;
            assert!(!turned_away(call, &answer), "{name} {} {}: {}", call.method, call.path, told(&answer));
            renew(&house, &mut things).await;
        }
    }
    house.running.stop().await;
}
