//! Identity tokens: among a job's variables, asked for by its holder, checked against what is published.

use crate::{
    house::{House, ONE_JOB, claim_one, get, new_pipeline},
    people::person,
};
use client::ClientError;
use control_plane::{KeySource, Settings};
use protocol::{
    api::GitValues,
    http::Mint,
    task::{TaskSpec, Variable},
};
use serde_json::{Value, json};

const PUBLIC: &str = "https://ci.example/house";

fn known(settings: &mut Settings) {
    settings.key = KeySource::File;
    settings.public_url = Some(format!("{PUBLIC}/"));
}

fn variable<'s>(spec: &'s TaskSpec, name: &str) -> Option<&'s Variable> {
    spec.environment.iter().find(|variable| variable.name == name)
}

/// What a token claims. Its signature is the issuer's own tests' business.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let six = |digit: u8| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let bits: Vec<u8> =
        payload.bytes().flat_map(|digit| (0..6).rev().map(move |bit| six(digit) >> bit & 1)).collect();
    let bytes: Vec<u8> =
        bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
    serde_json::from_slice(&bytes).unwrap()
}

#[actix_web::test]
async fn a_job_has_tokens_that_say_which_it_is() {
    let house = House::with(known).await;
    let git = GitValues {
        branch: Some("main".to_owned()),
        url: Some("git@github.com:acme/shop.git".to_owned()),
        ..GitValues::default()
    };
    let asked = protocol::api::NewPipeline { git, ..new_pipeline(ONE_JOB) };
    let pipeline = house.operator.create_pipeline(&asked).await.unwrap().id;
    let (claimed, task) = claim_one(&house.runner().await).await;
    let spec = task.config().await.unwrap();
    let (first, second) =
        (variable(&spec, "CIRCLE_OIDC_TOKEN").unwrap(), variable(&spec, "CIRCLE_OIDC_TOKEN_V2").unwrap());
    assert!(first.secret && second.secret, "no log shows them");
    let organization = &variable(&spec, "CIRCLE_ORGANIZATION_ID").unwrap().value;
    let project = &variable(&spec, "CIRCLE_PROJECT_ID").unwrap().value;
    let said = claims(&first.value);
    assert_eq!((&said["iss"], &said["aud"]), (&json!(PUBLIC), &json!(organization)));
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3600);
    let subject = said["sub"].as_str().unwrap();
    assert!(subject.starts_with(&format!("org/{organization}/project/{project}/user/")), "{subject}");
    assert_eq!(said["oidc.circleci.com/pipeline-id"], json!(pipeline));
    assert_eq!(said["oidc.circleci.com/vcs-origin"], "github.com/acme/shop");
    let longer = format!("{subject}/vcs-origin/github.com/acme/shop/vcs-ref/refs/heads/main");
    assert_eq!(claims(&second.value)["sub"], json!(longer));

    let mint = |audience: &[&str]| Mint {
        epoch: claimed.epoch,
        audience: audience.iter().map(|one| (*one).to_owned()).collect(),
    };
    assert_eq!(claims(&task.token(&mint(&["sts.example"])).await.unwrap())["aud"], "sts.example");
    assert_eq!(claims(&task.token(&mint(&["a", "b"])).await.unwrap())["aud"], json!(["a", "b"]));
    assert!(matches!(task.token(&mint(&[""])).await, Err(ClientError::Rejected { status: 400, .. })));
    house.running.stop().await;
}

#[actix_web::test]
async fn no_token_names_a_branch_that_only_its_maker_names() {
    let house = House::with(known).await;
    let ada = person(&house, "ada", &[("gh/acme", "member")]).await;
    let git = GitValues {
        branch: Some("main".to_owned()),
        url: Some("git@github.com:acme/shop.git".to_owned()),
        ..GitValues::default()
    };
    let asked = protocol::api::NewPipeline { git, ..new_pipeline(ONE_JOB) };
    house.transport.operator(&ada).create_pipeline(&asked).await.unwrap();
    let (_, task) = claim_one(&house.runner().await).await;
    let token = &variable(&task.config().await.unwrap(), "CIRCLE_OIDC_TOKEN_V2").unwrap().value.clone();
    let said = claims(token);
    assert!(!said.to_string().contains("vcs-"), "{said}");
    house.running.stop().await;
}

#[actix_web::test]
async fn what_checks_tokens_is_published_and_stays_after_a_start() {
    let house = House::with(known).await;
    let (status, discovery) = get(&house, "/.well-known/openid-configuration", None).await;
    let discovery: Value = serde_json::from_str(&discovery).unwrap();
    assert_eq!((status, &discovery["issuer"]), (200, &json!(PUBLIC)));
    assert_eq!(discovery["jwks_uri"], json!(format!("{PUBLIC}/.well-known/jwks.json")));
    let (_, keys) = get(&house, "/.well-known/jwks.json", None).await;
    let house = house.again(known).await;
    assert_eq!(get(&house, "/.well-known/jwks.json", None).await.1, keys);
    house.running.stop().await;
}

#[actix_web::test]
async fn where_nobody_could_check_them_no_tokens_are_issued() {
    let house = House::new().await;
    house.pipeline(ONE_JOB).await;
    let (claimed, task) = claim_one(&house.runner().await).await;
    assert!(variable(&task.config().await.unwrap(), "CIRCLE_OIDC_TOKEN").is_none());
    let refused = task.token(&Mint { epoch: claimed.epoch, audience: Vec::new() }).await.unwrap_err();
    assert!(refused.to_string().contains("--public-url"), "{refused}");
    assert_eq!(get(&house, "/.well-known/jwks.json", None).await.0, 404);
    house.running.stop().await;
}
