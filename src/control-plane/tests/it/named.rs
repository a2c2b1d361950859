//! Organizations and projects by their names and ids, as both generations of the `circleci` command line ask for them.

use crate::{
    house::{House, ONE_JOB, OPERATOR, data_dir, get, request},
    people::{person, project_token},
};
use futures_util::future::join;
use serde_json::{Value, json};
use store::{Store, Write};

/// A call by the bearer of a token.
pub(crate) async fn by(house: &House, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {token}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, text) = request(house, method, path, Some(("Authorization", &bearer)), &body).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The same of a reading call.
pub(crate) async fn read(house: &House, token: &str, path: &str) -> (u16, Value) {
    by(house, token, "GET", path, &Value::Null).await
}

/// Why a call was refused, in the envelope of v3.
pub(crate) fn why(answer: &Value) -> &str {
    answer["error"]["detail"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

const BY_SLUG: &str = "/api/v3/projects?filter%5Bslug%5D=";

#[actix_web::test]
async fn a_project_and_its_organization_are_found_by_name_and_by_id_by_those_who_see_them() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let eve = person(&house, "eve", &[("gh/acme", "viewer")]).await;
    let mallory = person(&house, "mallory", &[("gh/other", "admin")]).await;
    let (status, found) = read(&house, &eve, &format!("{BY_SLUG}github%2Facme%2Fshop")).await;
    assert_eq!((status, &found["data"][0]["attributes"]["name"]), (200, &json!("shop")));
    assert_eq!(found["page"], json!({"next": null, "prev": null}));
    let project = &found["data"][0];
    let (id, organization) =
        (project["id"].as_str().unwrap(), project["references"]["org"]["id"].as_str().unwrap());
    let (_, older) = read(&house, &eve, "/api/v2/project/gh/acme/shop").await;
    assert_eq!((older["id"].as_str(), older["organization_id"].as_str()), (Some(id), Some(organization)));

    let by_name = format!("/api/v3/projects?filter%5Borg_id%5D={organization}&filter%5Bname%5D=shop");
    let by_organization = format!("/api/v3/orgs?filter%5Bid%5D={organization}");
    for (path, wanted) in [
        (by_name.as_str(), id),
        ("/api/v3/orgs?filter%5Bslug%5D=github%2Facme", organization),
        (&by_organization, organization),
    ] {
        assert_eq!(read(&house, &eve, path).await.1["data"][0]["id"], json!(wanted), "{path}");
        assert_eq!(read(&house, OPERATOR, path).await.1["data"][0]["id"], json!(wanted), "{path}");
        assert_eq!(read(&house, &mallory, path).await.1["data"], json!([]), "{path}");
    }
    let one = format!("/api/v3/projects/{id}");
    assert_eq!(read(&house, &eve, &one).await.1["data"], *project);
    let (status, told) = read(&house, &mallory, &one).await;
    assert_eq!((status, why(&told)), (404, format!("there is no project {id}").as_str()));
    let badge = project_token(&house, "gh/acme/shop", "view-builds").await;
    assert_eq!(read(&house, &badge, &one).await.1["data"], *project);
    for wrong in ["/api/v3/projects", "/api/v3/projects?filter%5Bname%5D=shop", "/api/v3/orgs"] {
        let (status, told) = read(&house, OPERATOR, wrong).await;
        assert!(status == 400 && why(&told).contains("say which"), "{told}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn ids_lead_to_what_was_made_later_and_to_organizations_that_have_no_project() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let ada = person(&house, "ada", &[("gh/bolt", "admin")]).await;
    let (_, found) = read(&house, &ada, "/api/v3/orgs?filter%5Bslug%5D=gh%2Fbolt").await;
    let organization = found["data"][0]["id"].as_str().unwrap().to_owned();
    let settings = format!("/api/v3/orgs/{organization}/settings");
    assert_eq!(read(&house, &ada, &settings).await.0, 200);
    let made =
        by(&house, &ada, "POST", "/api/v2/organization/gh/bolt/project", &json!({"name": "app"})).await;
    assert_eq!(
        (made.0, &made.1["slug"], &made.1["organization_id"]),
        (201, &json!("gh/bolt/app"), &json!(organization))
    );
    let one = format!("/api/v3/projects/{}", made.1["id"].as_str().unwrap());
    assert_eq!(read(&house, &ada, &one).await.1["data"]["attributes"]["slug"], "gh/bolt/app");
    let again =
        by(&house, &ada, "POST", "/api/v2/organization/github/bolt/project", &json!({"name": "app"})).await;
    assert_eq!(again.0, 409, "{again:?}");
    for name in ["", "a/b", ".app", "a b"] {
        let body = json!({"name": name});
        assert_eq!(
            by(&house, &ada, "POST", "/api/v2/organization/gh/bolt/project", &body).await.0,
            400,
            "{name}"
        );
    }
    let (_, log) = get(&house, "/api/v3/audit?organization=gh/bolt", Some(("Circle-Token", OPERATOR))).await;
    assert!(log.contains("project.create") && log.contains("gh/bolt/app"), "{log}");
    house.running.stop().await;
}

#[actix_web::test]
async fn one_setting_of_a_project_is_changed_and_every_other_has_to_be_as_it_is() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let bob = person(&house, "bob", &[("gh/acme", "member")]).await;
    let id = read(&house, &ada, &format!("{BY_SLUG}gh/acme/shop")).await.1["data"][0].clone();
    let one = format!("/api/v3/projects/{}", id["id"].as_str().unwrap());
    let change = format!("{one}/update-settings");
    let wanted = json!({"enable_auto_cancel_redundant_workflows": true, "is_oss": false});
    assert_eq!(by(&house, &bob, "POST", &change, &wanted).await.0, 403);
    let (status, told) = by(&house, &ada, "POST", &change, &wanted).await;
    assert_eq!(
        (status, &told["data"]["attributes"]["enable_auto_cancel_redundant_workflows"]),
        (200, &json!(true))
    );
    let (_, told) = read(&house, &bob, &format!("{one}/settings")).await;
    assert_eq!(told["data"]["attributes"]["enable_auto_cancel_redundant_workflows"], true);
    let (_, older) = read(&house, &bob, "/api/v2/project/gh/acme/shop/settings").await;
    assert_eq!(older["advanced"]["autocancel_builds"], true);
    for (change_to, named) in [
        (json!({"is_oss": true}), "`is_oss` is not changed by this call"),
        (json!({"enable_color": true}), "`enable_color`"),
        (json!({"enable_auto_cancel_redundant_workflows": 1}), "is a boolean"),
    ] {
        let (status, told) = by(&house, &ada, "POST", &change, &change_to).await;
        assert!(status == 400 && why(&told).contains(named), "{told}");
    }
    let organization = id["references"]["org"]["id"].as_str().unwrap();
    let change = format!("/api/v3/orgs/{organization}/update-settings");
    assert_eq!(by(&house, &ada, "POST", &change, &json!({"enable_private_orbs": false})).await.0, 200);
    let (status, told) = by(&house, &ada, "POST", &change, &json!({"enable_private_orbs": true})).await;
    assert!(status == 400 && why(&told).contains("`enable_private_orbs`"), "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn whoever_sees_a_project_follows_it() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let eve = person(&house, "eve", &[("gh/acme", "viewer")]).await;
    let zoe = person(&house, "zoe", &[]).await;
    let shop = json!({"slug": "gh/acme/shop", "name": "shop", "vcs_type": "github", "username": "acme", "reponame": "shop"});
    assert_eq!(read(&house, &eve, "/api/v1.1/projects").await.1, json!([shop]));
    assert_eq!(read(&house, &zoe, "/api/v1.1/projects").await.1, json!([]));
    let follow = "/api/v1.1/project/github/acme/shop/follow";
    assert_eq!(
        by(&house, &eve, "POST", follow, &Value::Null).await,
        (200, json!({"followed": true, "following": true}))
    );
    assert_eq!(by(&house, &zoe, "POST", follow, &Value::Null).await.0, 404);
    house.running.stop().await;
}

#[actix_web::test]
async fn what_somebody_sees_is_found_behind_ten_thousand_projects_of_others() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let eve = person(&house, "eve", &[("github/acme", "viewer")]).await;
    let badge = project_token(&house, "gh/acme/shop", "view-builds").await;
    house.running.stop().await;
    let store = Store::open(&data_dir(&house.folder).join("store.db")).await.unwrap();
    let others = (0..10_000).map(|number| Write::Project(format!("a/a/{number}")));
    store.write(None, others.collect()).await.unwrap();
    store.close().await;
    let house = House::over(house.folder, |_| {}).await;
    for token in [&eve, &badge] {
        let (_, listed) = read(&house, token, "/api/v1.1/projects").await;
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["slug"]), (1, &json!("gh/acme/shop")));
        let (_, found) = read(&house, token, &format!("{BY_SLUG}gh/acme/shop")).await;
        let search = json!({"scope": {"project_ids": [found["data"][0]["id"]]}});
        let (status, found) = by(&house, token, "POST", "/api/v3/runs/search", &search).await;
        assert_eq!((status, found["data"].as_array().map(Vec::len)), (200, Some(1)), "{found}");
    }
    let (_, own) = read(&house, &eve, "/api/v2/me/collaborations").await;
    assert_eq!((own.as_array().unwrap().len(), &own[0]["slug"]), (1, &json!("gh/acme")));
    house.running.stop().await;
}

#[actix_web::test]
async fn a_project_that_two_make_at_once_is_made_by_one_of_them() {
    let house = House::new().await;
    let ada = person(&house, "ada", &[("gh/bolt", "admin")]).await;
    for number in 0..20 {
        let body = json!({"name": format!("app{number}")});
        let make = || by(&house, &ada, "POST", "/api/v2/organization/gh/bolt/project", &body);
        let (one, other) = join(make(), make()).await;
        let mut statuses = [one.0, other.0];
        statuses.sort();
        assert_eq!(statuses, [201, 409], "{one:?} {other:?}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn releases_are_told_of_this_control_plane_alone_and_without_a_token() {
    let house = House::new().await;
    let asked = async |tool: &str| {
        let (status, text) = get(&house, &format!("/api/v3/tool/releases{tool}"), None).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, told) = asked("?filter%5Btool%5D=roundhouse").await;
    assert_eq!((status, &told["data"][0]["attributes"]["version"]), (200, &json!(env!("CARGO_PKG_VERSION"))));
    for tool in ["?filter%5Btool%5D=circleci-cli", ""] {
        assert_eq!(asked(tool).await.0, 400);
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn the_part_of_the_document_that_is_v2_has_its_paths_as_there() {
    let house = House::new().await;
    let (status, text) = get(&house, "/api/v2/openapi.json", None).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["servers"][0]["url"]), (200, &json!("/api/v2")));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/context") && !paths.keys().any(|path| path.contains("/api/")), "{paths:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_not_offered_is_refused_by_name_with_a_token_and_not_without() {
    let house = House::new().await;
    for (method, path, words) in [
        ("GET", "/api/v3/deploy/deployments", "no deployments are kept"),
        ("GET", "/api/v3/deploy/components/7/versions", "no deployments are kept"),
        ("POST", "/api/v3/projects/7/rollback", "run again a workflow"),
        ("DELETE", "/api/v3/projects/7/dlc", "each runner's own engine"),
        ("POST", "/api/v3/signing/configs/7/update-profile", "no certificates"),
        ("GET", "/api/v3/provider/connections", "roundhouse project create"),
        ("POST", "/api/v3/triggers", "schedules"),
        ("DELETE", "/api/v3/namespaces/7", "keeps its name"),
        ("POST", "/api/v3/orb/packages/7/add-category", "no categories"),
    ] {
        let (status, told) = by(&house, OPERATOR, method, path, &json!({})).await;
        assert_eq!((status, &told["error"]["title"]), (400, &json!("Bad Request")), "{path}");
        assert!(why(&told).contains(words), "{told}");
        assert_eq!(by(&house, "another's", method, path, &json!({})).await.0, 401, "{path}");
    }
    let (status, told) = by(&house, OPERATOR, "POST", "/api/v2/organization", &json!({"name": "a"})).await;
    assert!(status == 400 && told["message"].as_str().unwrap().contains("a role in it"), "{told}");
    house.running.stop().await;
}
