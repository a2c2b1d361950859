//! Namespaces, orbs and versions in the shapes of the public API v3: made and published by those who may do everything, seen by
//! every person and every project.

use crate::{
    house::{House, ONE_JOB, OPERATOR, post},
    named::{by, read, why},
    people::{person, project_token},
};
use serde_json::{Value, json};

const SOURCE: &str = "commands: {say: {steps: [run: echo said]}}\n";

async fn organization_id(house: &House) -> String {
    house.pipeline(ONE_JOB).await;
    let (_, found) = read(house, OPERATOR, "/api/v3/orgs?filter%5Bslug%5D=gh/acme").await;
    found["data"][0]["id"].as_str().unwrap().to_owned()
}

async fn created(house: &House, path: &str, body: Value) -> Value {
    let (status, made) = by(house, OPERATOR, "POST", path, &body).await;
    assert_eq!(status, 201, "{path}: {made}");
    made["data"].clone()
}

/// The namespace `acme` with the orb `tools`, of which nothing is published.
async fn reserved(house: &House) -> (Value, Value) {
    let organization = organization_id(house).await;
    let namespace =
        created(house, "/api/v3/namespaces", json!({"name": "acme", "org_id": organization})).await;
    let orb = json!({"data": {
        "attributes": {"name": "tools", "is_private": false},
        "references": {"namespace": {"id": namespace["id"]}},
    }});
    let orb = created(house, "/api/v3/orb/packages", orb).await;
    (namespace, orb)
}

fn version(orb: &Value, version: &str, source: &str) -> Value {
    json!({"data": {"attributes": {"orb_id": orb["id"], "yaml": source, "version": version}}})
}

async fn publish(house: &House, orb: &Value, number: &str, source: &str) -> (u16, Value) {
    by(house, OPERATOR, "POST", "/api/v3/orb/versions", &version(orb, number, source)).await
}

#[actix_web::test]
async fn a_namespace_and_an_orb_are_made_once_by_those_who_may_do_everything() {
    let house = House::new().await;
    let (namespace, orb) = reserved(&house).await;
    assert_eq!(orb["attributes"]["name"], "acme/tools");
    assert_eq!(orb["references"]["namespace"]["attributes"]["name"], "acme");
    let ada = person(&house, "ada", &[("gh/acme", "admin")]).await;
    let (_, found) = read(&house, &ada, "/api/v3/namespaces?filter%5Bname%5D=acme").await;
    assert_eq!(found["data"], namespace);
    let by_id = format!("/api/v3/namespaces/{}", namespace["id"].as_str().unwrap());
    assert_eq!(read(&house, &ada, &by_id).await.1["data"], namespace);
    let (status, told) = read(&house, &ada, "/api/v3/namespaces?filter%5Bname%5D=other").await;
    assert_eq!((status, why(&told)), (404, "there is no namespace other"));
    let organization = organization_id(&house).await;
    for (path, body, status) in [
        ("namespaces", json!({"name": "acme", "org_id": organization}), 409),
        ("namespaces", json!({"name": "a/b", "org_id": organization}), 400),
        ("namespaces", json!({"name": "b", "org_id": namespace["id"]}), 404),
        ("orb/packages", package("tools", false, &namespace["id"]), 409),
        ("orb/packages", package("acme/more", true, &namespace["id"]), 400),
        ("orb/packages", package("more", false, &json!(organization)), 404),
    ] {
        let path = format!("/api/v3/{path}");
        let (answered, told) = by(&house, OPERATOR, "POST", &path, &body).await;
        assert_eq!(answered, status, "{body}: {told}");
        assert_eq!(by(&house, &ada, "POST", &path, &body).await.0, 403);
    }
    house.running.stop().await;
}

fn package(name: &str, is_private: bool, namespace: &Value) -> Value {
    json!({"data": {"attributes": {"name": name, "is_private": is_private}, "references": {"namespace": {"id": namespace}}}})
}

#[actix_web::test]
async fn a_version_is_published_once_found_by_reference_and_id_and_listed_the_newest_first() {
    let house = House::new().await;
    let (_, orb) = reserved(&house).await;
    for number in ["1.9.0", "1.10.0", "dev:first"] {
        assert_eq!(publish(&house, &orb, number, SOURCE).await.0, 201);
    }
    assert_eq!(publish(&house, &orb, "1.9.0", SOURCE).await.0, 201);
    assert_eq!(publish(&house, &orb, "1.9.0", "commands: {}\n").await.0, 409);
    assert_eq!(publish(&house, &orb, "dev:first", "commands: {}\n").await.0, 201);
    let (status, told) = publish(&house, &orb, "2.0.0", "commands: {c: {steps: [none]}}\n").await;
    assert!(status == 400 && why(&told).contains("there is no step `none`"), "{told}");

    let ada = person(&house, "ada", &[]).await;
    assert_eq!(
        by(&house, &ada, "POST", "/api/v3/orb/versions", &version(&orb, "3.0.0", SOURCE)).await.0,
        403
    );
    let id = orb["id"].as_str().unwrap();
    let numbers = async |path: &str| {
        let (_, listed) = read(&house, &ada, path).await;
        let versions = listed["data"].as_array().unwrap().iter();
        (
            versions.map(|one| one["attributes"]["version"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            listed,
        )
    };
    let all = format!("/api/v3/orb/versions?filter%5Borb_id%5D={id}");
    assert_eq!(numbers(&all).await.0, ["1.10.0", "1.9.0", "dev:first"]);
    assert_eq!(numbers(&format!("{all}&filter%5Bchannel%5D=stable")).await.0, ["1.10.0", "1.9.0"]);
    assert_eq!(numbers(&format!("{all}&filter%5Bchannel%5D=dev")).await.0, ["dev:first"]);
    let (first, listed) = numbers(&format!("{all}&page%5Blimit%5D=2")).await;
    let next = listed["page"]["next"].as_str().unwrap();
    // What is published meanwhile moves nothing to the next page.
    assert_eq!(publish(&house, &orb, "1.11.0", SOURCE).await.0, 201);
    let (rest, listed) = numbers(&format!("{all}&page%5Blimit%5D=2&page%5Bcursor%5D={next}")).await;
    assert_eq!((first.len(), rest, &listed["page"]["next"]), (2, vec!["dev:first".to_owned()], &Value::Null));
    let (status, told) = read(&house, &ada, &format!("{all}&page%5Bcursor%5D=2")).await;
    assert!(status == 400 && why(&told).contains("`page[cursor]`"), "{told}");
    for (reference, number) in [("volatile", "1.11.0"), ("1.9", "1.9.0"), ("dev:first", "dev:first")] {
        let path = format!("/api/v3/orb/versions?filter%5Bref%5D=acme/tools@{reference}");
        let (found, listed) = numbers(&path).await;
        assert_eq!(found, [number]);
        let one = format!("/api/v3/orb/versions/{}", listed["data"][0]["id"].as_str().unwrap());
        assert_eq!(read(&house, &ada, &one).await.1["data"], listed["data"][0]);
        let expected = if reference == "dev:first" { "commands: {}\n" } else { SOURCE };
        assert_eq!(read(&house, &ada, &format!("{one}/source")).await, (200, json!(expected)));
    }
    assert_eq!(numbers("/api/v3/orb/versions?filter%5Bref%5D=acme/tools@7").await.0.len(), 0);
    house.running.stop().await;
}

#[actix_web::test]
async fn orbs_are_listed_in_pages_with_their_newest_version_also_those_that_came_otherwise() {
    let house = House::new().await;
    let (namespace, orb) = reserved(&house).await;
    let new = json!({"reference": "bolt/x@0.1.0", "source": SOURCE, "is_imported": false});
    assert_eq!(post(&house, "/api/v3/orbs", &new.to_string()).await.0, 201);
    assert_eq!(publish(&house, &orb, "1.0.0", SOURCE).await.0, 201);
    let shown = async |query: &str| {
        let (_, listed) = read(&house, OPERATOR, &format!("/api/v3/orb/packages{query}")).await;
        let line = |one: &Value| {
            let newest = &one["references"]["orb_versions"][0]["attributes"]["version"];
            format!("{}@{}", one["attributes"]["name"].as_str().unwrap(), newest.as_str().unwrap_or("none"))
        };
        listed["data"].as_array().unwrap().iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(shown("?filter%5Bcertified%5D=true").await, ["acme/tools@1.0.0", "bolt/x@0.1.0"]);
    assert_eq!(shown("?page%5Blimit%5D=1&page%5Bcursor%5D=acme/tools").await, ["bolt/x@0.1.0"]);
    assert_eq!(shown("?filter%5Bname%5D=bolt/x").await, ["bolt/x@0.1.0"]);
    let of = format!("?filter%5Bnamespace_id%5D={}", namespace["id"].as_str().unwrap());
    assert_eq!(shown(&of).await, ["acme/tools@1.0.0"]);
    for none in ["?filter%5Bname%5D=x/y", "?filter%5Bvisibility%5D=private"] {
        assert_eq!(shown(none).await.len(), 0, "{none}");
    }
    let one = format!("/api/v3/orb/packages/{}", orb["id"].as_str().unwrap());
    assert_eq!(
        read(&house, OPERATOR, &one).await.1["data"]["references"]["orb_versions"][0]["attributes"]["version"],
        "1.0.0"
    );
    assert_eq!(
        read(&house, OPERATOR, "/api/v3/orb/categories?filter%5Bname%5D=Build").await.1["data"],
        json!([])
    );
    house.running.stop().await;
}

#[actix_web::test]
async fn a_token_that_sees_its_project_sees_orbs_and_changes_none() {
    let house = House::new().await;
    let (namespace, orb) = reserved(&house).await;
    let (_, made) = publish(&house, &orb, "1.0.0", SOURCE).await;
    let version = made["data"]["id"].as_str().unwrap();
    let badge = project_token(&house, "gh/acme/shop", "view-builds").await;
    let status = project_token(&house, "gh/acme/shop", "status").await;
    for path in [
        "namespaces?filter%5Bname%5D=acme",
        "orb/packages",
        &format!("orb/versions/{version}/source"),
        "orb/versions?filter%5Bref%5D=acme/tools@1",
        "orbs/acme/tools@1",
    ] {
        let path = format!("/api/v3/{path}");
        assert_eq!(read(&house, &badge, &path).await.0, 200, "{path}");
        assert_eq!(read(&house, &status, &path).await.0, 403, "{path}");
    }
    let new = package("more", false, &namespace["id"]);
    assert_eq!(by(&house, &badge, "POST", "/api/v3/orb/packages", &new).await.0, 403);
    assert_eq!(read(&house, &badge, "/api/v3/users?filter%5Buser_id%5D=me").await.0, 403);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_development_version_is_promoted_to_the_next_number() {
    let house = House::new().await;
    let (_, orb) = reserved(&house).await;
    let (_, made) = publish(&house, &orb, "dev:first", SOURCE).await;
    let promote = format!("/api/v3/orb/versions/{}/promote", made["data"]["id"].as_str().unwrap());
    for (segment, number) in [("patch", "0.0.1"), ("minor", "0.1.0"), ("major", "1.0.0")] {
        let made = created(&house, &promote, json!({"segment": segment})).await;
        assert_eq!(made["attributes"]["version"], number);
    }
    let (_, newest) =
        read(&house, OPERATOR, "/api/v3/orb/versions?filter%5Bref%5D=acme/tools@volatile").await;
    let again = format!("/api/v3/orb/versions/{}/promote", newest["data"][0]["id"].as_str().unwrap());
    let (status, told) = by(&house, OPERATOR, "POST", &again, &json!({"segment": "patch"})).await;
    assert!(status == 400 && why(&told).contains("no development version"), "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn an_orb_is_looked_through_without_being_published() {
    let house = House::new().await;
    let zoe = person(&house, "zoe", &[]).await;
    for call in ["validate", "process"] {
        let path = format!("/api/v3/orb/packages/{call}");
        let (_, told) = by(&house, &zoe, "POST", &path, &json!({"yaml": SOURCE})).await;
        assert_eq!(
            told["data"]["attributes"],
            json!({"is_valid": true, "output_yaml": SOURCE, "errors": []})
        );
        let wrong = json!({"yaml": "commands: {c: {steps: [none]}}\n", "org_id": "x"});
        let (status, told) = by(&house, &zoe, "POST", &path, &wrong).await;
        let attributes = &told["data"]["attributes"];
        assert!(status == 200 && attributes["is_valid"] == false, "{told}");
        assert!(attributes["errors"][0].as_str().unwrap().contains("orb.yml:1"), "{told}");
    }
    assert_eq!(read(&house, &zoe, "/api/v3/orbs").await.1["items"], json!([]));
    house.running.stop().await;
}
