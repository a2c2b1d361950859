//! Orbs that are published for all: taken once they are right, found by pipelines that did not bring them, and kept.

use crate::house::{House, OPERATOR, data_dir, get, new_pipeline};
use client::ClientError;
use control_plane::Retention;
use protocol::api::{GivenOrb, NewOrb};
use std::time::Duration;

const TOOLS: &str = "commands: {say: {steps: [run: of the server]}}\n";

const USER: &str = "
version: 2.1
orbs: {tools: acme/tools@1}
jobs:
  build: {machine: true, resource_class: acme/linux, steps: [tools/say]}
";

async fn publish(house: &House, reference: &str, source: &str) -> Result<(), ClientError> {
    let (reference, source) = (reference.to_owned(), source.to_owned());
    house.operator.publish_orb(&NewOrb { reference, source, is_imported: false }).await.map(drop)
}

async fn listed(house: &House) -> Vec<String> {
    let orbs = house.operator.orbs().await.unwrap().into_iter();
    orbs.map(|orb| format!("{}@{}", orb.name, orb.version)).collect()
}

/// The first step of the pipeline's only job.
async fn first_step(house: &House, id: protocol::PipelineId) -> String {
    let (_, task) = crate::house::claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    house.operator.cancel(id).await.unwrap();
    spec.steps[0].name.clone()
}

#[actix_web::test]
async fn an_orb_is_published_once_it_is_right_and_its_version_stays_as_it_is() {
    let house = House::new().await;
    let error = publish(&house, "acme/tools@1.0.0", "commands: {c: {steps: [none]}}\n").await.unwrap_err();
    let ClientError::Diagnosed(refused) = error else { panic!("{error}") };
    assert_eq!(refused.message, "acme/tools@1.0.0 is no valid orb");
    assert!(refused.diagnostics[0].contains("there is no step `none`"), "{refused:?}");
    for wrong in ["acme/tools@1", "acme/tools@volatile", "acme/tools", "../x/y@1.0.0"] {
        let error = publish(&house, wrong, TOOLS).await.unwrap_err();
        assert!(matches!(error, ClientError::Rejected { status: 400, .. }), "{wrong}: {error}");
    }
    publish(&house, "acme/tools@1.0.0", TOOLS).await.unwrap();
    publish(&house, "acme/tools@1.0.0", TOOLS).await.unwrap();
    let error = publish(&house, "acme/tools@1.0.0", "commands: {}\n").await.unwrap_err();
    assert!(matches!(&error, ClientError::Conflict(said) if said.contains("published already")), "{error}");
    publish(&house, "acme/tools@dev:x", TOOLS).await.unwrap();
    publish(&house, "acme/tools@dev:x", "commands: {}\n").await.unwrap();
    assert_eq!(house.operator.orb("acme/tools@dev:x").await.unwrap().source, "commands: {}\n");
    assert_eq!(listed(&house).await, ["acme/tools@1.0.0", "acme/tools@dev:x"]);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_reference_takes_the_newest_version_that_fits_and_a_missing_orb_says_what_is_there() {
    let house = House::new().await;
    for version in ["1.2.3", "1.10.0", "2.0.0"] {
        publish(&house, &format!("acme/tools@{version}"), TOOLS).await.unwrap();
    }
    for (wanted, version) in [("1", "1.10.0"), ("1.2", "1.2.3"), ("volatile", "2.0.0")] {
        assert_eq!(house.operator.orb(&format!("acme/tools@{wanted}")).await.unwrap().version, version);
    }
    let said = async |reference: &str| house.operator.orb(reference).await.unwrap_err().to_string();
    assert!(said("acme/tools@3").await.contains("has only 1.10.0, 1.2.3, 2.0.0"));
    assert!(said("acme/none@1").await.contains("no orb of this name"));
    let error =
        publish(&house, "acme/more@1.0.0", "orbs: {x: acme/none@1}\ncommands: {c: {steps: [x/y]}}\n").await;
    assert!(matches!(error, Err(ClientError::Diagnosed(_))), "{error:?}");
    house.running.stop().await;
}

#[actix_web::test]
async fn what_a_registry_has_checked_is_taken_as_it_is() {
    let house = House::new().await;
    let source = "orbs: {x: acme/none@1}\ncommands: {c: {steps: [x/y]}}\n".to_owned();
    let orb = NewOrb { reference: "acme/more@1.0.0".to_owned(), source, is_imported: true };
    house.operator.publish_orb(&orb).await.unwrap();
    assert_eq!(listed(&house).await, ["acme/more@1.0.0"]);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_pipeline_finds_the_orbs_that_it_did_not_bring() {
    let house = House::new().await;
    let error = house.operator.create_pipeline(&new_pipeline(USER)).await.unwrap_err();
    let ClientError::Diagnosed(refused) = error else { panic!("{error}") };
    assert!(refused.diagnostics[0].contains("roundhouse orb import acme/tools@1"), "{refused:?}");
    publish(&house, "acme/tools@1.0.0", TOOLS).await.unwrap();
    let id = house.pipeline(USER).await.id;
    assert_eq!(first_step(&house, id).await, "of the server");
    let mut bringing = new_pipeline(USER);
    let source = TOOLS.replace("server", "pipeline");
    bringing.orbs =
        vec![GivenOrb { reference: "acme/tools@1".to_owned(), version: "1.9.0".to_owned(), source }];
    let id = house.operator.create_pipeline(&bringing).await.unwrap().id;
    assert_eq!(first_step(&house, id).await, "of the pipeline");
    house.running.stop().await;
}

#[actix_web::test]
async fn an_orb_of_an_address_comes_with_its_pipeline_or_not_at_all() {
    let house = House::new().await;
    let url = "https://orbs.acme.example/tools.yml";
    let mut pipeline = new_pipeline(&USER.replace("acme/tools@1", url));
    let error = house.operator.create_pipeline(&pipeline).await.unwrap_err();
    let ClientError::Diagnosed(refused) = error else { panic!("{error}") };
    assert!(refused.diagnostics.iter().any(|said| said.contains("--orb-url")), "{refused:?}");
    let (reference, version) = (url.to_owned(), url.to_owned());
    pipeline.orbs = vec![GivenOrb { reference, version, source: TOOLS.to_owned() }];
    let id = house.operator.create_pipeline(&pipeline).await.unwrap().id;
    assert_eq!(first_step(&house, id).await, "of the server");
    house.running.stop().await;
}

#[actix_web::test]
async fn published_orbs_outlive_rounds_restarts_and_are_in_backups() {
    let keep_nothing = Retention {
        pipelines_for: Some(Duration::ZERO),
        newest: 0,
        caches_for: Duration::ZERO,
        unnamed_for: Duration::ZERO,
        every: Duration::from_millis(1),
        ..Retention::SERVER
    };
    let house = House::with(|settings| settings.retention = keep_nothing).await;
    publish(&house, "acme/tools@1.0.0", TOOLS).await.unwrap();
    house.until_swept().await;
    let house = house.again(|settings| settings.retention = keep_nothing).await;
    assert_eq!(listed(&house).await, ["acme/tools@1.0.0"]);
    let copy = house.folder.path().join("copy");
    control_plane::backup(&data_dir(&house.folder), &copy).await.unwrap();
    house.running.stop().await;
    let checked = control_plane::check(&copy, true).await.unwrap();
    assert_eq!((checked.orbs, checked.findings), (1, Vec::new()));
}

#[actix_web::test]
async fn only_an_operator_sees_orbs() {
    let house = House::new().await;
    publish(&house, "acme/tools@1.0.0", TOOLS).await.unwrap();
    for path in ["/api/v3/orbs", "/api/v3/orbs/acme/tools@1"] {
        assert_eq!(get(&house, path, None).await.0, 401);
        assert_eq!(get(&house, path, Some(("Circle-Token", &house.token().await))).await.0, 401);
        assert_eq!(get(&house, path, Some(("Circle-Token", OPERATOR))).await.0, 200);
    }
    house.running.stop().await;
}
