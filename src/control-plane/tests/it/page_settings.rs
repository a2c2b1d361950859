//! What admins change on the page: its forms filled in and posted as a browser does it, and by a browser.

use crate::{
    driven::Driven,
    house::{self, House, OPERATOR, claim_one},
    page,
    people::{cookie, person},
};
use protocol::{JobStatus, WorkflowStatus};
use serde_json::Value;

const PAGE: &str = "/settings/gh/acme";
const CONFIG: &str = "
version: 2.1
jobs: {build: {machine: true, resource_class: acme/linux, steps: [run: make]}}
workflows: {all: {jobs: [build: {context: deploy}]}}
";

/// Somebody who looks at pages and posts what they find there.
struct Visitor<'h> {
    house: &'h House,
    header: String,
}

/// A form as it stands on a page.
#[derive(Debug)]
struct Form {
    action: String,
    /// What is in it that nobody types.
    fields: Vec<(String, String)>,
}

impl<'h> Visitor<'h> {
    async fn new(house: &'h House, token: &str) -> Self {
        Self { house, header: format!("Cookie: {}\r\n", cookie(house, token).await) }
    }

    async fn read(&self, path: &str) -> String {
        // What is behind `#` no browser sends.
        let path = path.split('#').next().unwrap();
        let answer = page::get(self.house, path, &self.header).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    /// Where the answer leads, and its status and text.
    async fn post(&self, form: &Form, typed: &[(&str, &str)]) -> (u16, String, String) {
        let fields = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs =
            fields.chain(typed.iter().copied()).map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let answer = page::post(self.house, &form.action, &self.header, &body).await;
        (answer.status, answer.header("location").unwrap_or_default().to_owned(), answer.text())
    }

    /// What is done leads to a page, which is read.
    async fn does(&self, text: &str, act: &str, typed: &[(&str, &str)]) -> String {
        let (status, to, text) = self.post(&form(text, act, ""), typed).await;
        assert_eq!(status, 303, "{act}: {text}");
        self.read(&to).await
    }

    /// What is lost by it is asked for twice.
    async fn loses(&self, text: &str, act: &str, of: &str, question: &str) -> String {
        let (status, _, asks) = self.post(&form(text, act, of), &[]).await;
        assert!(status == 200 && asks.contains(question), "{act}: {status} {asks}");
        let sure = form(&asks, act, of);
        assert!(sure.fields.contains(&("sure".to_owned(), "yes".to_owned())), "{sure:?}");
        let (status, to, told) = self.post(&sure, &[]).await;
        assert_eq!(status, 303, "{act}: {told}");
        self.read(&to).await
    }

    /// What is refused shows why, and what was typed.
    async fn is_refused(
        &self,
        text: &str,
        act: &str,
        typed: &[(&str, &str)],
        status: u16,
        why: &str,
    ) -> String {
        let (got, _, told) = self.post(&form(text, act, ""), typed).await;
        let shown = told.split("role=\"alert\">").nth(1).unwrap_or_default().split('<').next().unwrap();
        assert!(got == status && shown.contains(why), "{act}: {got} {shown} in {told}");
        told
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The first form of a page with this act, and with this in one of its fields.
fn form(text: &str, act: &str, of: &str) -> Form {
    let all = text.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap());
    let hidden = |form: &str| -> Vec<(String, String)> {
        let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
        let named = inputs.map(|input| input.split_once("\" value=\"").unwrap());
        named.map(|(name, rest)| (name.to_owned(), rest.split('"').next().unwrap().to_owned())).collect()
    };
    let has = |fields: &[(String, String)], what: &str| fields.iter().any(|(_, value)| value == what);
    let mut fitting = all.map(|form| (form, hidden(form)));
    let found = fitting.find(|(_, fields)| [act, of].iter().all(|what| what.is_empty() || has(fields, what)));
    let (form, fields) = found.unwrap_or_else(|| panic!("no form to {act} {of} in {text}"));
    let action = form.split("action=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    Form { action, fields }
}

async fn api(house: &House, path: &str) -> Value {
    let (status, text) = house::get(house, path, Some(("Circle-Token", OPERATOR))).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn id_of(contexts: &Value, name: &str) -> String {
    let all = contexts["items"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
}

/// What ada did, as the audit log tells it.
async fn acts(house: &House) -> Vec<(String, String)> {
    let lines = api(house, "/api/v3/audit?organization=gh/acme").await;
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let by_ada = lines["items"].as_array().unwrap().iter().rev().filter(|line| line["actor"] == "ada");
    by_ada.map(|line| (text(line, "action"), text(line, "subject"))).collect()
}

#[actix_web::test]
async fn an_admin_makes_fills_restricts_and_deletes_a_context_by_the_forms_of_the_page() {
    let house = House::new().await;
    house.pipeline(CONFIG).await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let ada = Visitor::new(&house, &ada).await;
    let start = ada.read(PAGE).await;
    let text = ada.does(&start, "make_context", &[("name", "deploy")]).await;
    assert!(text.contains("The context deploy"), "the one that was made is open: {text}");
    ada.is_refused(&text, "make_context", &[("name", "deploy")], 409, "has a context `deploy` already").await;
    let text = ada.does(&text, "set_variable", &[("name", "KEY"), ("value", "hunter22\r\nis secret")]).await;
    assert!(text.contains("<td>KEY</td>") && !text.contains("hunter22"), "{text}");
    let text = ada.does(&text, "restrict", &[("kind", "project"), ("value", "gh/acme/shop")]).await;
    assert!(text.contains("<td>project gh/acme/shop</td>"), "{text}");
    let text = ada.does(&text, "restrict", &[("kind", "expression"), ("value", "1 == 1")]).await;
    let (_, task) = claim_one(&house.runner().await).await;
    let given = task.config().await.unwrap().environment;
    let key = given.iter().find(|variable| variable.name == "KEY").unwrap();
    assert_eq!(key.value, "hunter22\nis secret", "as it was typed, its lines end as those of a file");

    let text = ada.does(&text, "restrict", &[("kind", "group"), ("value", "deployers")]).await;
    assert!(text.contains("<td>group deployers</td>"), "{text}");
    refuses_with_what_was_typed(&ada, &text).await;

    let restriction =
        form(&text, "unrestrict", "").fields.into_iter().find(|(name, _)| name == "restriction");
    let text = ada.loses(&text, "unrestrict", &restriction.unwrap().1, "project gh/acme/shop").await;
    assert!(
        !text.contains("<td>project gh/acme/shop</td>") && text.contains("<td>expression 1 == 1</td>"),
        "{text}"
    );
    let text = ada.loses(&text, "remove_variable", "KEY", "nobody can read its value again").await;
    assert!(!text.contains("<td>KEY</td>"), "{text}");
    let text = ada.loses(&text, "remove_context", "", "Delete the context deploy").await;
    assert!(!text.contains("deploy"), "{text}");
    assert_eq!(api(&house, "/api/v2/context?owner-slug=gh/acme").await["items"], serde_json::json!([]));
    let told: Vec<_> = acts(&house).await.into_iter().map(|(action, _)| action).collect();
    let wanted = [
        "context.create",
        "variable.set",
        "context.restrict",
        "context.restrict",
        "context.restrict",
        "context.unrestrict",
        "variable.remove",
        "context.delete",
    ];
    assert_eq!(told, wanted, "as the calls tell of it");
    house.running.stop().await;
}

/// On the page of an opened context.
async fn refuses_with_what_was_typed(ada: &Visitor<'_>, text: &str) {
    let wrong = [("kind", "expression"), ("value", "pipeline.git.branch ==")];
    let refused = ada.is_refused(text, "restrict", &wrong, 400, "cannot be read").await;
    assert!(refused.contains("value=\"pipeline.git.branch ==\""), "what was typed is kept: {refused}");
    assert!(refused.contains("<option value=\"expression\" selected>"), "{refused}");
    let nobodys = [("kind", "project"), ("value", "gh/other/app")];
    ada.is_refused(text, "restrict", &nobodys, 400, "has no project `gh/other/app`").await;
    ada.is_refused(text, "restrict", &[("kind", "stars"), ("value", "x")], 400, "`stars` are not offered")
        .await;
    let unnamed = [("name", "1A"), ("value", "hunter23")];
    let refused = ada.is_refused(text, "set_variable", &unnamed, 400, "no name of a variable").await;
    assert!(refused.contains("value=\"1A\"") && !refused.contains("hunter23"), "but no secret: {refused}");
}

#[actix_web::test]
async fn an_admin_sets_a_projects_variables_and_its_part_in_the_queue_on_the_page() {
    let house = House::new().await;
    house.pipeline(CONFIG).await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let ada = Visitor::new(&house, &ada).await;
    let text = ada.read(&format!("{PAGE}?project=gh/acme/shop")).await;
    let text = ada.does(&text, "set_variable", &[("name", "TOKEN"), ("value", "swordfish-1234")]).await;
    assert!(
        text.contains("<td>TOKEN</td>") && text.contains("xxxx1234") && !text.contains("swordfish"),
        "{text}"
    );
    let typed = [("priority", "-5"), ("max_tasks", "3"), ("cancel_redundant", "true")];
    let text = ada.does(&text, "rule", &typed).await;
    let rules = api(&house, "/api/v3/projects/gh/acme/shop/queue").await;
    assert_eq!(rules, serde_json::json!({"priority": -5, "max_tasks": 3, "cancel_redundant": true}));
    assert!(text.contains("name=\"priority\" value=\"-5\"") && text.contains(" checked>"), "{text}");
    let many = [("priority", "7"), ("max_tasks", "many")];
    let refused = ada.is_refused(&text, "rule", &many, 400, "`many` is no whole number").await;
    assert!(
        refused.contains("value=\"many\"") && refused.contains("name=\"priority\" value=\"7\""),
        "{refused}"
    );
    assert!(!refused.contains(" checked>"), "{refused}");
    ada.is_refused(&text, "rule", &[("priority", "0"), ("max_tasks", "0")], 400, "`max_tasks` is at least 1")
        .await;
    let text = ada.does(&text, "rule", &[("priority", "0"), ("max_tasks", "")]).await;
    let rules = api(&house, "/api/v3/projects/gh/acme/shop/queue").await;
    assert_eq!(rules, serde_json::json!({"priority": 0, "max_tasks": null, "cancel_redundant": false}));
    let text = ada.loses(&text, "remove_variable", "TOKEN", "Remove the variable TOKEN").await;
    assert!(!text.contains("<td>TOKEN</td>"), "{text}");

    let told = acts(&house).await;
    let told: Vec<_> = told.iter().map(|(action, subject)| format!("{action} {subject}")).collect();
    let wanted = [
        "variable.set gh/acme/shop: TOKEN",
        "project.queue gh/acme/shop",
        "project.queue gh/acme/shop",
        "variable.remove gh/acme/shop: TOKEN",
    ];
    assert_eq!(told, wanted);
    house.running.stop().await;
}

#[actix_web::test]
async fn an_admin_gives_and_takes_roles_on_the_page() {
    let house = House::new().await;
    house.pipeline(CONFIG).await;
    person(&house, "eve", &[]).await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let ada = Visitor::new(&house, &ada).await;
    let text = ada.read(PAGE).await;
    let text = ada.does(&text, "give_role", &[("login", "eve"), ("role", "member")]).await;
    assert!(text.contains("<td>eve</td><td class=\"fit dim\">member</td>"), "{text}");
    let nobody = [("login", "mallory"), ("role", "admin")];
    let refused = ada.is_refused(&text, "give_role", &nobody, 404, "nobody here has the login mallory").await;
    assert!(refused.contains("value=\"mallory\"") && refused.contains("<option selected>admin"), "{refused}");
    ada.is_refused(&text, "give_role", &[("login", "eve"), ("role", "king")], 400, "`king` is no role").await;
    let text = ada.loses(&text, "take_role", "eve", "Take the role of eve in gh/acme away").await;
    assert!(!text.contains("<td>eve</td>"), "{text}");
    let told = acts(&house).await.into_iter().map(|(action, subject)| format!("{action} {subject}"));
    assert_eq!(told.collect::<Vec<_>>(), ["role.give eve: member", "role.take eve"]);
    house.running.stop().await;
}

#[actix_web::test]
async fn who_is_no_admin_of_the_organization_finds_no_forms_and_posts_none_and_an_admin_reaches_no_other() {
    let house = House::new().await;
    house.pipeline(CONFIG).await;
    for (organization, name) in [("gh/acme", "deploy"), ("gh/other", "theirs")] {
        let body = format!(r#"{{"name": "{name}", "owner": {{"slug": "{organization}"}}}}"#);
        assert_eq!(house::post(&house, "/api/v2/context", &body).await.0, 200);
    }
    let theirs = id_of(&api(&house, "/api/v2/context?owner-slug=gh/other").await, "theirs");
    let ours = id_of(&api(&house, "/api/v2/context?owner-slug=gh/acme").await, "deploy");
    let [ada, bob, zoe] =
        [("ada", "gh/acme", "admin"), ("bob", "gh/acme", "member"), ("zoe", "gh/other", "admin")];
    let ada = Visitor::new(&house, &person(&house, ada.0, &[(ada.1, ada.2)]).await).await;
    let bob = Visitor::new(&house, &person(&house, bob.0, &[(bob.1, bob.2)]).await).await;
    let zoe = Visitor::new(&house, &person(&house, zoe.0, &[(zoe.1, zoe.2)]).await).await;

    let form = form(&ada.read(&format!("{PAGE}?context={ours}")).await, "remove_context", "");
    let text = bob.read(&format!("{PAGE}?context={ours}")).await;
    assert!(!text.contains("name=\"act\"") && !text.contains("Change") && text.contains("deploy"), "{text}");
    assert_eq!(bob.post(&form, &[("sure", "yes")]).await.0, 403);
    assert_eq!(page::get(&house, PAGE, &zoe.header).await.status, 404);
    assert_eq!(zoe.post(&form, &[("sure", "yes")]).await.0, 404);

    let key = form.fields.iter().find(|(name, _)| name == "key").unwrap().1.clone();
    let without_key = Form {
        action: form.action.clone(),
        fields: vec![("act".into(), "remove_context".into()), ("context".into(), ours.clone())],
    };
    assert_eq!(ada.post(&without_key, &[("sure", "yes")]).await.0, 400);
    assert_eq!(ada.post(&without_key, &[("sure", "yes"), ("key", &"0".repeat(64))]).await.0, 409);
    let own = Form { action: form.action.clone(), fields: vec![("key".into(), key)] };
    for typed in [
        &[("act", "remove_context"), ("sure", "yes"), ("context", theirs.as_str())][..],
        &[("act", "set_variable"), ("name", "A"), ("value", "x"), ("context", &theirs)],
        &[("act", "remove_variable"), ("sure", "yes"), ("name", "A"), ("context", &theirs)],
        &[("act", "restrict"), ("kind", "expression"), ("value", "true"), ("context", &theirs)],
        &[("act", "unrestrict"), ("sure", "yes"), ("restriction", &ours), ("context", &theirs)],
        &[("act", "set_variable"), ("name", "A"), ("value", "x"), ("project", "gh/other/app")],
        &[("act", "rule"), ("priority", "9"), ("project", "gh/other/app")],
    ] {
        let (status, _, told) = ada.post(&own, typed).await;
        assert!(status == 404 && !told.contains("theirs"), "{typed:?}: {status} {told}");
    }
    let theirs = format!("/api/v2/context/{theirs}");
    assert_eq!(api(&house, &theirs).await["name"], "theirs");
    for of in ["restrictions", "environment-variable"] {
        assert_eq!(api(&house, &format!("{theirs}/{of}")).await["items"], serde_json::json!([]));
    }
    assert_eq!(api(&house, &format!("/api/v2/context/{ours}")).await["name"], "deploy");
    house.running.stop().await;
}

const RELEASES: &str = "
version: 2.1
jobs: {ship: {type: release, plan_name: shop}}
workflows: {good: {jobs: [ship]}, bad: {jobs: [ship]}}
";

#[actix_web::test]
async fn a_visitor_says_on_the_page_how_a_release_ended() {
    let house = House::new().await;
    let pipeline = house.pipeline(RELEASES).await.id;
    let ada = person(&house, "ada", &[("gh/acme", "member")]).await;
    let eve = person(&house, "eve", &[("gh/acme", "viewer")]).await;
    let (ada, eve) = (Visitor::new(&house, &ada).await, Visitor::new(&house, &eve).await);
    let page = format!("/pipelines/{pipeline}");
    let text = ada.read(&page).await;
    let actions: Vec<_> =
        text.split("action=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut releases: Vec<_> = actions.into_iter().filter(|action| action.contains("/release/")).collect();
    releases.dedup();
    let [good, bad] = releases[..] else { panic!("{releases:?} in {text}") };
    let key = form(&text, "", "").fields.remove(0);
    let form = |action: &str| Form { action: action.to_owned(), fields: vec![key.clone()] };
    assert_eq!(eve.post(&form(good), &[("status", "success")]).await.0, 403);
    assert_eq!(ada.post(&form(good), &[("status", "perhaps")]).await.0, 400);
    let (status, to, told) = ada.post(&form(good), &[("reason", ""), ("status", "success")]).await;
    assert_eq!((status, to.as_str()), (303, page.as_str()), "{told}");
    assert_eq!(ada.post(&form(good), &[("status", "failed")]).await.0, 409, "it waits no more");
    assert_eq!(ada.post(&form(bad), &[("reason", "5xx everywhere"), ("status", "failed")]).await.0, 303);
    let view = house.view(pipeline).await;
    let statuses: Vec<_> = view.workflows.iter().map(|workflow| workflow.status).collect();
    assert_eq!(statuses, [WorkflowStatus::Success, WorkflowStatus::Failed]);
    let text = ada.read(&page).await;
    assert!(
        text.contains("released by ada") && text.contains("the release `shop` failed: 5xx everywhere"),
        "{text}"
    );
    assert!(!text.contains("/release/"), "{text}");
    assert_eq!(acts(&house).await.iter().filter(|(action, _)| action == "job.release").count(), 2);
    house.running.stop().await;
}

/// What is typed, what is clicked then, and what is seen after that.
fn of_a_context() -> Vec<(String, String, String)> {
    let fill = |form: &str, field: &str, value: &str| {
        format!(
            "(() => {{ const form = document.querySelector('form:has([value={form}])'); \
                 if (form) form.elements.{field}.value = {value:?}; return Boolean(form) }})()"
        )
    };
    let button = |form: &str| format!("form:has([value={form}]) button");
    let has = |text: &str| format!("document.querySelector('main')?.innerText.includes({text:?})");
    vec![
        (fill("make_context", "name", "deploy"), button("make_context"), has("The context deploy")),
        (fill("set_variable", "name", "1KEY"), button("set_variable"), has("no name of a variable")),
        (
            fill("set_variable", "name", "KEY") + " && " + &fill("set_variable", "value", "hunter22"),
            button("set_variable"),
            "[...document.querySelectorAll('.opened td')].some((cell) => cell.textContent === 'KEY')"
                .to_owned(),
        ),
        ("true".to_owned(), button("remove_variable"), has("Remove the variable KEY")),
        (
            "true".to_owned(),
            "button.sure".to_owned(),
            format!("location.search.startsWith('?context=') && !({})", has("KEY")),
        ),
        ("true".to_owned(), button("remove_context"), has("Delete the context deploy")),
        (
            "true".to_owned(),
            "button.sure".to_owned(),
            format!("location.search === '' && !({})", has("deploy")),
        ),
    ]
}

#[actix_web::test]
async fn a_browser_makes_a_context_stores_a_variable_deletes_it_and_ends_a_release_by_the_pages_own_buttons()
{
    let house = House::new().await;
    let pipeline = house.pipeline(RELEASES).await.id;
    let origin = format!("http://{}", house.running.address);
    let url = format!("{origin}{PAGE}?token=operator%27s%20token");
    let Some(mut tab) = actix_web::web::block(move || Driven::open(&url)).await.unwrap() else {
        return eprintln!("skipped: there is no Chromium on this machine");
    };
    let page = format!("{origin}/pipelines/{pipeline}");
    actix_web::web::block(move || {
        for (typed, clicked, seen) in of_a_context() {
            tab.until(&typed);
            tab.click(&clicked);
            tab.until(&seen);
        }
        tab.go(&page);
        tab.until("(() => { const reason = document.querySelector('[name=reason]'); if (reason) reason.value = 'too slow'; return Boolean(reason) })()");
        tab.click("form.release button[value=failed]");
        tab.until("document.querySelector('main')?.innerText.includes('failed: too slow')");
    })
    .await
    .unwrap();
    let jobs = house.view(pipeline).await.workflows.remove(0).jobs;
    assert_eq!(jobs[0].status, JobStatus::Failed);
    house.running.stop().await;
}
