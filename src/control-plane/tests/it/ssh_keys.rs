//! SSH keys of projects: ours and the public calls, and which task is given which.

use crate::house::{House, OPERATOR, ask, claim_one, get, new_pipeline, post};
use client::ClientError;
use protocol::{api::NewSshKey, repository::Ssh, task::Source};
use serde_json::{Value, json};

const PROJECT: &str = "gh/acme/app";
const OPERATORS: Option<(&str, &str)> = Some(("Circle-Token", OPERATOR));

fn config(steps: &str) -> String {
    format!(
        "version: 2.1\njobs:\n  only: {{machine: true, resource_class: acme/linux, steps: [{steps}]}}\nworkflows: {{all: \
         {{jobs: [only]}}}}\n"
    )
}

/// What a task with these steps is given.
async fn given(house: &House, steps: &str, keys: Vec<NewSshKey>) -> Ssh {
    let mut new = new_pipeline(&config(steps));
    new.source = Source::Git {
        url: "git@example.org:acme/app".to_owned(),
        revision: "1".repeat(40),
        branch: Some("main".to_owned()),
        tag: None,
    };
    PROJECT.clone_into(&mut new.project);
    new.ssh_keys = keys;
    house.operator.create_pipeline(&new).await.unwrap();
    let (_, task) = claim_one(&house.runner().await).await;
    task.config().await.unwrap().ssh
}

fn value((status, body): (u16, String), expected: u16) -> Value {
    assert_eq!(status, expected, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[actix_web::test]
async fn a_checkout_key_is_made_listed_and_deleted_in_the_public_shapes() {
    let house = House::new().await;
    let path = format!("/api/v2/project/{PROJECT}/checkout-key");
    let made = value(post(&house, &path, r#"{"type": "deploy-key"}"#).await, 201);
    assert!(made["public-key"].as_str().unwrap().starts_with("ssh-ed25519 AAAA"), "{made}");
    assert_eq!((made["type"].as_str(), made["preferred"].as_bool()), (Some("deploy-key"), Some(true)));
    let fingerprint = made["fingerprint"].as_str().unwrap();
    assert_eq!(fingerprint.len(), 47, "16 bytes with colons: {fingerprint}");
    let list = value(get(&house, &path, OPERATORS).await, 200);
    assert_eq!(list, json!({ "items": [made], "next_page_token": null }));
    let sha256 = value(get(&house, &format!("{path}?digest=sha256"), OPERATORS).await, 200);
    assert!(sha256["items"][0]["fingerprint"].as_str().unwrap().starts_with("SHA256:"), "{sha256}");
    let one = format!("{path}/{fingerprint}");
    assert_eq!(value(get(&house, &one, OPERATORS).await, 200), made);
    assert_eq!(get(&house, &one, None).await.0, 401);
    let user = value(post(&house, &path, r#"{"type": "user-key"}"#).await, 400);
    assert!(user["message"].as_str().unwrap().contains("`user-key` is not made here"), "{user}");
    value(ask(&house, "DELETE", &one, OPERATORS).await, 200);
    value(get(&house, &one, OPERATORS).await, 404);
    house.running.stop().await;
}

#[actix_web::test]
async fn a_task_is_given_the_keys_that_its_steps_ask_for_and_no_others() {
    let house = House::with(|settings| "host ssh-ed25519 AAAA".clone_into(&mut settings.known_hosts)).await;
    let key = |checkout, hostname: Option<&str>| NewSshKey {
        checkout,
        hostname: hostname.map(str::to_owned),
        private_key: None,
    };
    let checkout = house.operator.create_ssh_key(PROJECT, &key(true, None)).await.unwrap();
    let one = house.operator.create_ssh_key(PROJECT, &key(false, Some("one"))).await.unwrap();
    let other = house.operator.create_ssh_key(PROJECT, &key(false, None)).await.unwrap();
    house.operator.create_ssh_key("gh/acme/secret", &key(false, None)).await.unwrap();
    assert_eq!(given(&house, "run: make", Vec::new()).await, Ssh::default());
    let ssh = given(&house, "checkout", Vec::new()).await;
    assert_eq!(ssh.checkout.unwrap().fingerprint, checkout.fingerprint);
    assert!(ssh.keys.is_empty() && ssh.known_hosts.contains("host ssh-ed25519"));
    let named = format!("add_ssh_keys: {{fingerprints: ['{}']}}", one.sha256);
    let ssh = given(&house, &named, Vec::new()).await;
    assert!(ssh.checkout.is_none() && ssh.keys.len() == 1, "{ssh:?}");
    assert_eq!((&ssh.keys[0].fingerprint, ssh.keys[0].hostname.as_deref()), (&one.fingerprint, Some("one")));
    let private_key = Some(ssh.keys[0].private_key.clone());
    let all = given(&house, "add_ssh_keys", vec![NewSshKey { private_key, ..NewSshKey::default() }]).await;
    let (given, kept) = all.keys.split_last().unwrap();
    assert_eq!(given.fingerprint, one.fingerprint, "those that came with the pipeline are the last");
    let mut expected = [one.fingerprint, other.fingerprint];
    expected.sort();
    let mut fingerprints: Vec<_> = kept.iter().map(|key| key.fingerprint.clone()).collect();
    fingerprints.sort();
    assert_eq!(fingerprints, expected);
    house.running.stop().await;
}

#[actix_web::test]
async fn keys_are_as_good_after_a_restart_and_none_is_stored_in_the_open() {
    let house = House::new().await;
    let made =
        house.operator.create_ssh_key(PROJECT, &NewSshKey { checkout: true, ..NewSshKey::default() }).await;
    let house = house.again(|_| ()).await;
    let ssh = given(&house, "checkout", Vec::new()).await;
    let key = ssh.checkout.unwrap();
    assert_eq!(key.fingerprint, made.unwrap().fingerprint);
    let again = NewSshKey { private_key: Some(key.private_key.clone()), ..NewSshKey::default() };
    let twice = house.operator.create_ssh_key(PROJECT, &again).await.unwrap_err();
    assert!(matches!(twice, ClientError::Conflict(_)), "{twice}");
    let stored = std::fs::read(house.folder.path().join("data/store.db")).unwrap();
    let body = key.private_key.lines().nth(1).unwrap();
    assert!(!stored.windows(body.len()).any(|window| window == body.as_bytes()));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_is_no_key_and_no_repository_is_refused_by_name() {
    let house = House::new().await;
    let bad = |hostname: Option<&str>, text: &str| NewSshKey {
        hostname: hostname.map(str::to_owned),
        private_key: Some(text.to_owned()),
        checkout: false,
    };
    for (key, said) in
        [(bad(None, "hush"), "no private key"), (bad(Some("a b"), "hush"), "is no name of a host")]
    {
        let refused = house.operator.create_ssh_key(PROJECT, &key).await.unwrap_err().to_string();
        assert!(refused.contains(said) && !refused.contains("hush"), "{refused}");
    }
    for (url, revision, branch, said) in [
        ("ext::sh -c id", "1".repeat(40), "main", "is no address"),
        ("https://example.org/app", "main".to_owned(), "main", "is no commit"),
        ("https://example.org/app", "1".repeat(40), "--force", "is no name of a branch"),
    ] {
        let mut new = new_pipeline(&config("checkout"));
        new.source =
            Source::Git { url: url.to_owned(), revision, branch: Some(branch.to_owned()), tag: None };
        let refused = house.operator.create_pipeline(&new).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    house.running.stop().await;
}
