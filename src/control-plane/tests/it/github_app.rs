//! A project whose provider lets a GitHub App in: its token is asked for, used while it is good, and told to nobody.

use crate::{
    house::{House, OPERATOR, get, post_with, with_body},
    webhooks::{PROJECT, push, signed},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use control_plane::{Answering, Ask, Outbound, Post, Reply};
use protocol::webhook::Provider;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const KEY: &[u8] = include_bytes!("../rsa-2048.pk8");
const API: &str = "https://git.example/api/v3";

fn pem() -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(KEY))
}

/// GitHub, as far as it is called.
#[derive(Debug, Default)]
struct Github {
    heard: Mutex<Vec<Post>>,
}

impl Github {
    fn answer(post: &Post) -> Reply {
        let is_asked = post.url == format!("{API}/app/installations/9/access_tokens");
        let body =
            if is_asked { r#"{"token": "ghs_given", "expires_at": "2030-01-01T00:00:00Z"}"# } else { "{}" };
        Reply { status: 201, pause: None, body: body.to_owned() }
    }

    fn heard(&self, part: &str) -> Vec<Post> {
        self.heard.lock().unwrap().iter().filter(|post| post.url.contains(part)).cloned().collect()
    }
}

impl Outbound for Github {
    fn post<'a>(&'a self, post: &'a Post) -> Answering<'a> {
        self.heard.lock().unwrap().push(post.clone());
        Box::pin(async move { Ok(Self::answer(post)) })
    }

    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a> {
        unreachable!("an App posts alone: {}", ask.url)
    }
}

fn header(post: &Post, name: &str) -> String {
    post.headers.iter().find(|(one, _)| *one == name).unwrap().1.clone()
}

/// The claims of a token that the App's key has signed.
fn claims(token: &str) -> Value {
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn repository(url: &str, key: &str) -> Value {
    json!({
        "url": url, "provider": "github", "statuses": "workflows", "api": API,
        "secret": "a secret that nobody guesses", "app": {"id": "7", "installation": 9, "private_key": key},
    })
}

#[actix_web::test]
async fn a_commit_is_told_with_a_token_that_the_app_gave_once_for_all() {
    let github = Arc::new(Github::default());
    let outbound: Arc<dyn Outbound> = github.clone();
    let house = House::with(|settings| {
        settings.insecure_fetch = true;
        settings.outbound = Some(outbound);
    })
    .await;
    let place = format!("/api/v3/repositories/{PROJECT}");
    let (status, why) =
        with_body(&house, "PUT", &place, &repository("https://git.example/a/b", "k").to_string()).await;
    assert!(status == 400 && why.contains("no RSA key in PEM"), "{why}");
    let named = repository("https://127.0.0.1:1/acme/app.git", &pem());
    let (status, made) = with_body(&house, "PUT", &place, &named.to_string()).await;
    assert!(status == 200 && made.contains("\"has_token\":true") && !made.contains("PRIVATE"), "{made}");
    // Nothing can be fetched from there: that is told as well, of each commit.
    for revision in ["1", "2"] {
        let body = push("refs/heads/main", &revision.repeat(40), "Teach it").to_string();
        let path = format!("/api/v3/webhooks/{PROJECT}");
        let (status, said) = post_with(&house, &path, &signed(Provider::Github, "push", &body), &body).await;
        assert_eq!(status, 200, "{said}");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while github.heard("/statuses/").len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", github.heard(""));
        tokio::task::yield_now().await;
    }
    assert!(
        github.heard("/statuses/").iter().all(|post| header(post, "Authorization") == "Bearer ghs_given")
    );
    let asked = github.heard("/access_tokens");
    assert_eq!(asked.len(), 1, "one token is good for all");
    let claims = claims(header(&asked[0], "Authorization").strip_prefix("Bearer ").unwrap());
    assert_eq!(claims["iss"], "7");
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 600, "{claims}");
    let (_, listed) = get(&house, "/api/v3/repositories", Some(("Circle-Token", OPERATOR))).await;
    assert!(!listed.contains("PRIVATE") && !listed.contains("ghs_given"), "{listed}");
    house.running.stop().await;
}
