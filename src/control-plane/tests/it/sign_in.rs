//! Signing in on the page at a provider of OpenID Connect: who gets in, as whom, and who does not.

use crate::{
    house::{House, OPERATOR, data_dir, get, log, request, settings},
    page::{self, Answer},
    people::person,
    provider::{Caller, Provider, SECRET, fields},
};
use control_plane::{Settings, StartError, start};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

const EMAIL: &str = r#"{"email": "ada@example.org"}"#;

fn operator() -> Option<(&'static str, &'static str)> {
    Some(("Circle-Token", OPERATOR))
}

/// Has people sign in at a provider.
fn at(provider: &Provider) -> impl FnOnce(&mut Settings) {
    let told = provider.settings();
    |settings| {
        settings.identity_provider = Some(told);
        settings.outbound = Some(Caller::new());
    }
}

/// A house whose people sign in at a provider, ada by her address.
pub(crate) async fn house(provider: &Provider) -> House {
    let house = House::with(at(provider)).await;
    person(&house, "ada", &[("*", "viewer")]).await;
    assert_eq!(link(&house, "ada", EMAIL).await.0, 200);
    house
}

pub(crate) async fn link(house: &House, login: &str, body: &str) -> (u16, String) {
    request(house, "PUT", &format!("/api/v3/people/{login}/identity"), operator(), body).await
}

async fn ada(house: &House) -> Value {
    let (_, body) = get(house, "/api/v3/people", operator()).await;
    let people: Value = serde_json::from_str(&body).unwrap();
    people["items"].as_array().unwrap().iter().find(|one| one["login"] == "ada").unwrap().clone()
}

async fn audit(house: &House) -> String {
    get(house, "/api/v3/audit", operator()).await.1
}

fn cookie_of(answer: &Answer) -> String {
    format!("Cookie: {}\r\n", answer.header("set-cookie").unwrap().split(';').next().unwrap())
}

/// Begins: where the visitor is led to, and what their browser keeps.
async fn begin(house: &House, to: &str) -> (String, String) {
    let answer = page::get(house, &format!("/sign-in/oidc?to={to}"), "").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    (answer.header("location").unwrap().to_owned(), cookie_of(&answer))
}

async fn back(house: &House, query: &str, cookie: &str) -> Answer {
    page::get(house, &format!("/sign-in/oidc/callback?{query}"), cookie).await
}

/// All the way to the provider and back.
async fn sign_in(house: &House, provider: &Provider, to: &str) -> Answer {
    let (location, cookie) = begin(house, to).await;
    back(house, &provider.authorize(&location), &cookie).await
}

/// The cookie of somebody who got in.
pub(crate) async fn signed_in(house: &House, provider: &Provider) -> String {
    let answer = sign_in(house, provider, "/").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    cookie_of(&answer)
}

/// Nobody got in, and the words say why.
fn refused(answer: &Answer, status: u16, words: &str) {
    let text = answer.text();
    assert!(answer.status == status && text.contains(words), "{words}: {} {text}", answer.status);
    let cookie = answer.header("set-cookie").unwrap_or_default();
    assert!(cookie.is_empty() || cookie.contains("-sign-in=; "), "{cookie}");
}

#[actix_web::test]
async fn whoever_comes_first_with_the_address_is_the_person_from_then_on_by_what_the_provider_calls_them() {
    let provider = Provider::new();
    let house = house(&provider).await;
    let door = page::get(&house, "/runners?x=1", "").await;
    let address = format!("http://{}/sign-in/oidc?to=/runners%3Fx%3D1\"", house.running.address);
    assert!(door.status == 401 && door.text().contains(&address), "{}", door.text());
    let answer = sign_in(&house, &provider, "/runners%3Fx%3D1").await;
    let text = answer.text();
    assert!(answer.status == 200 && text.contains("content=\"0; url=/runners?x=1\""), "{text}");
    let set = answer.header("set-cookie").unwrap().to_owned();
    assert!(set.contains("HttpOnly; SameSite=Strict") && !set.contains("Secure"), "{set}");
    let shown = page::get(&house, "/runners", &cookie_of(&answer)).await;
    assert!(shown.status == 200 && shown.text().contains("Sign out"), "{}", shown.text());
    let identity = &ada(&house).await["identity"];
    assert_eq!((&identity["subject"], &identity["email"]), (&json!("ada-1"), &json!("ada@example.org")));
    // The address is another's later, and hers is another one.
    provider.says().claims["sub"] = json!("eve-1");
    refused(&sign_in(&house, &provider, "/").await, 403, "you came as `eve-1` of ");
    provider.says().claims = json!({"sub": "ada-1", "groups": ["builders", "all"]});
    signed_in(&house, &provider).await;
    assert_eq!(ada(&house).await["identity"]["groups"], json!(["all", "builders"]));
    let told = audit(&house).await;
    for words in ["identity.set", "identity.bind", "the page, as ada-1 of http://127.0.0.1:"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn who_is_not_known_is_told_who_came_and_does_not_get_in() {
    let provider = Provider::new();
    let house = house(&provider).await;
    for (claims, words) in [
        (
            json!({"sub": "x", "email": "eve@example.org", "email_verified": true}),
            "verified e-mail address eve@",
        ),
        (json!({"sub": "x", "email": "ada@example.org", "email_verified": false}), "has not verified"),
        (json!({"sub": "x", "email": "ada@example.org"}), "has not verified"),
        (json!({"sub": "x"}), "without an e-mail address"),
        (json!({"sub": "<script>"}), "`&#60;script&#62;` of"),
        // A login is no identity.
        (json!({"sub": "ada", "preferred_username": "ada", "name": "ada"}), "you came as `ada` of"),
    ] {
        provider.says().claims = claims;
        refused(&sign_in(&house, &provider, "/").await, 403, words);
    }
    assert_eq!(ada(&house).await["identity"]["subject"], Value::Null);
    assert!(!audit(&house).await.contains("identity.bind"));
    house.running.stop().await;
}

#[actix_web::test]
async fn what_the_id_token_leaves_out_is_asked_for_and_is_of_nobody_else() {
    let provider = Provider::new();
    let house = house(&provider).await;
    let mine = json!({"email": "ada@example.org", "email_verified": true, "groups": ["g"]});
    provider.says().claims = json!({"sub": "ada-1"});
    provider.says().besides = json!({"sub": "eve-1", "email": "ada@example.org", "email_verified": true});
    refused(&sign_in(&house, &provider, "/").await, 403, "answers about somebody else");
    provider.says().besides = mine;
    signed_in(&house, &provider).await;
    assert_eq!(ada(&house).await["identity"]["groups"], json!(["g"]));
    house.running.stop().await;
}

#[actix_web::test]
async fn somebody_is_named_by_subject_too_and_by_one_name_that_is_nobody_elses() {
    let provider = Provider::new();
    let house = house(&provider).await;
    person(&house, "eve", &[]).await;
    for (login, body, status, words) in [
        ("eve", EMAIL, 409, "somebody else is known by that"),
        ("eve", r#"{"email": "ADA@example.org"}"#, 409, "somebody else is known by that"),
        ("eve", "{}", 400, "give `subject` or `email`"),
        ("eve", r#"{"email": "e@x", "subject": "e"}"#, 400, "not both"),
        ("eve", r#"{"email": "eve"}"#, 400, "`eve` is no e-mail address"),
        ("eve", r#"{"subject": ""}"#, 400, "1 to 255 bytes"),
        ("eve", r#"{"issuer": "https://evil"}"#, 400, "unknown field"),
        ("bob", EMAIL, 404, "nobody here has the login bob"),
    ] {
        let (got, text) = link(&house, login, body).await;
        assert!(got == status && text.contains(words), "{login} {body}: {got} {text}");
    }
    assert_eq!(link(&house, "ada", r#"{"subject": "ada-1"}"#).await.0, 200);
    assert_eq!(link(&house, "eve", r#"{"subject": "ada-1"}"#).await.0, 409);
    provider.says().claims = json!({"sub": "ada-1"});
    signed_in(&house, &provider).await;
    let house = house.again(at(&provider)).await;
    signed_in(&house, &provider).await;
    // Another provider's people are others.
    let other = Provider::new();
    other.says().claims = json!({"sub": "ada-1"});
    let house = house.again(at(&other)).await;
    refused(&sign_in(&house, &other, "/").await, 403, "you came as `ada-1`");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_sign_in_is_taken_once_and_in_the_browser_and_the_life_in_which_it_began() {
    let provider = Provider::new();
    let house = house(&provider).await;
    let (location, cookie) = begin(&house, "/").await;
    let query = provider.authorize(&location);
    let stale = "was not begun in this browser";
    refused(&back(&house, &query, "").await, 400, stale);
    let (_, other) = begin(&house, "/").await;
    refused(&back(&house, &query, &other).await, 400, stale);
    for wrong in ["", "code=code-0", "state=x", "code=code-0&state=", &format!("{query}&state=x")] {
        refused(&back(&house, wrong, &cookie).await, 400, stale);
    }
    let state = query.split("&").last().unwrap();
    refused(&back(&house, state, &cookie).await, 400, stale);
    let asked = provider.says().asked.len();
    assert_eq!(back(&house, &query, &cookie).await.status, 200);
    // Its provider would take the code again.
    refused(&back(&house, &query, &cookie).await, 400, stale);
    assert!(provider.says().asked.len() > asked + 1);
    let (location, cookie) = begin(&house, "/").await;
    let query = provider.authorize(&location);
    let house = house.again(at(&provider)).await;
    let name = format!("roundhouse-{}-sign-in=", house.running.address.port());
    let cookie = format!("Cookie: {name}{}", cookie.split_once('=').unwrap().1);
    refused(&back(&house, &query, &cookie).await, 400, stale);
    house.running.stop().await;
}

#[actix_web::test]
async fn what_the_provider_says_wrong_lets_nobody_in_and_is_told_in_words() {
    let provider = Provider::new();
    let house = house(&provider).await;
    let (location, cookie) = begin(&house, "/").await;
    let state = fields(location.split_once('?').unwrap().1)["state"].clone();
    let denied = format!("error=access_denied&error_description=not%20%3Cb%3Eyou&state={state}");
    refused(
        &back(&house, &denied, &cookie).await,
        403,
        "did not let you in: access_denied: not &#60;b&#62;you",
    );
    // Whoever sends a visitor here has no words put into our mouth.
    let foreign = back(&house, "error=access_denied&error_description=call+me&state=x", &cookie).await;
    assert!(!foreign.text().contains("call me"));
    let mixed = format!("{}&iss=https%3A%2F%2Fevil.example", provider.authorize(&location));
    refused(&back(&house, &mixed, &cookie).await, 403, "another provider sent you");
    for (header, claims, words) in [
        (json!({"alg": "none"}), json!({}), "signed by `none`"),
        (json!({"alg": "HS256"}), json!({}), "signed by `HS256`"),
        (json!({"kid": "other"}), json!({}), "none of the provider&#39;s keys"),
        (json!({}), json!({"iss": "https://evil.example"}), "of another issuer, https://evil.example"),
        (json!({}), json!({"aud": "another"}), "for others than this server"),
        (json!({}), json!({"nonce": "another"}), "of another sign-in"),
        (json!({}), json!({"nonce": null}), "no sound `nonce`"),
        (json!({}), json!({"exp": 7}), "has expired"),
        (json!({}), json!({"sub": null}), "no sound `sub`"),
    ] {
        provider.says().header = header;
        provider.says().claims = claims;
        refused(&sign_in(&house, &provider, "/").await, 403, words);
    }
    for (status, body, answered, words) in [
        (400, r#"{"error": "invalid_grant", "error_description": "used"}"#, 403, "invalid_grant: used"),
        (401, "", 403, "status 401"),
        (500, "", 502, "is answered 500"),
        (200, r#"{"access_token": "hunter2"}"#, 502, "answers otherwise than it should"),
    ] {
        provider.says().refusal = Some((status, body));
        let answer = sign_in(&house, &provider, "/").await;
        refused(&answer, answered, words);
        assert!(!answer.text().contains("hunter2") && !answer.text().contains(SECRET));
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_provider_that_is_not_what_it_was_named_is_not_gone_to() {
    for (document, words) in [
        (json!({"issuer": "https://evil.example"}), "is of the issuer https://evil.example, not of"),
        (json!({"token_endpoint": "http://evil.example/token"}), "not https: http://evil.example/token"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "not https: javascript:alert(1)"),
        (json!({"jwks_uri": null}), "answers otherwise than it should"),
        (json!({"jwks_uri": "http://127.0.0.1:1/keys"}), "the provider cannot be asked"),
    ] {
        let provider = Provider::new();
        provider.says().document = document;
        let house = House::with(at(&provider)).await;
        for _ in 0..3 {
            refused(&page::get(&house, "/sign-in/oidc", "").await, 502, words);
        }
        let asked = provider.says().asked.len();
        assert_eq!(asked, 1, "it is left alone for a moment");
        house.running.stop().await;
    }
}

#[actix_web::test]
async fn keys_are_read_anew_for_one_that_is_not_known_and_not_for_each() {
    let provider = Provider::new();
    let house = house(&provider).await;
    signed_in(&house, &provider).await;
    provider.renew_key("two");
    signed_in(&house, &provider).await;
    provider.renew_key("three");
    for _ in 0..3 {
        refused(&sign_in(&house, &provider, "/").await, 403, "none of the provider&#39;s keys");
    }
    let read = provider.says().asked.iter().filter(|path| *path == "/keys").count();
    assert_eq!(read, 2, "at the beginning, and for the second key");
    house.running.stop().await;
}

#[actix_web::test]
async fn no_other_host_is_led_to() {
    let provider = Provider::new();
    let house = house(&provider).await;
    for to in ["//evil.example", "https://evil.example", "%2F%5Cevil.example", "%2F%2Fevil.example", "x&to=y"]
    {
        let (location, cookie) = begin(&house, to).await;
        let text = back(&house, &provider.authorize(&location), &cookie).await.text();
        assert!(text.contains("content=\"0; url=/\"") && !text.contains("evil"), "{to}: {text}");
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn a_browser_that_comes_back_from_another_site_is_signed_in_where_it_wanted_to_go() {
    let Some(browser) = page::browser() else {
        eprintln!("skipped: there is no Chromium on this machine");
        return;
    };
    let provider = Provider::new();
    let house = house(&provider).await;
    // Another site than the page's, for a browser.
    let elsewhere = provider.url.replace("127.0.0.1", "localhost");
    provider.says().document = json!({"authorization_endpoint": format!("{elsewhere}/authorize")});
    let url = format!("http://{}/sign-in/oidc?to=/runners", house.running.address);
    let text = actix_web::web::block(move || page::dom(browser, &url)).await.unwrap();
    assert!(text.contains("<title>Runners") && text.contains("Sign out"), "{text}");
    house.running.stop().await;
}

#[actix_web::test]
async fn behind_https_no_cookie_goes_over_anything_else_and_the_provider_leads_to_the_public_address() {
    let provider = Provider::new();
    let change = at(&provider);
    let house = House::with(|settings| {
        settings.public_url = Some("https://ci.example/".to_owned());
        change(settings);
    })
    .await;
    let answer = page::get(&house, "/sign-in/oidc", "").await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/sign-in; HttpOnly; SameSite=Lax; Max-Age=600; Secure"), "{cookie}");
    let location = answer.header("location").unwrap();
    assert!(
        location.contains("redirect_uri=https%3A%2F%2Fci.example%2Fsign-in%2Foidc%2Fcallback&"),
        "{location}"
    );
    let by_token = page::get(&house, &format!("/?token={OPERATOR}").replace(' ', "%20"), "").await;
    let cookie = by_token.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let door = page::get(&house, "/", "").await.text();
    assert!(door.contains("href=\"https://ci.example/sign-in/oidc?to=/\""), "{door}");
    house.running.stop().await;
}

/// The key in the forms of a page.
async fn form_key(house: &House, cookie: &str) -> String {
    let text = page::get(house, "/", cookie).await.text();
    let (_, key) = text.split_once("name=\"key\" value=\"").expect("the page has a form");
    format!("key={}", key.split('"').next().unwrap())
}

#[actix_web::test]
async fn a_sign_in_is_over_when_its_owner_signs_out_and_when_it_or_the_identity_is_taken_away() {
    let provider = Provider::new();
    let house = house(&provider).await;
    let [first, second, third] = [
        signed_in(&house, &provider).await,
        signed_in(&house, &provider).await,
        signed_in(&house, &provider).await,
    ];
    let key = form_key(&house, &first).await;
    assert_eq!(page::post(&house, "/sign-out", &first, "key=0").await.status, 409);
    assert_eq!(page::post(&house, "/sign-out", "", &key).await.status, 401);
    let out = page::post(&house, "/sign-out", &first, &key).await;
    assert!(out.status == 303 && out.header("set-cookie").unwrap().contains("=; Path=/; HttpOnly"));
    let status = async |cookie: &str| page::get(&house, "/", cookie).await.status;
    assert_eq!((status(&first).await, status(&second).await), (401, 200));
    let path = "/api/v3/people/ada/tokens";
    let tokens: Value = serde_json::from_str(&get(&house, path, operator()).await.1).unwrap();
    let sign_ins = tokens["items"].as_array().unwrap().iter().filter(|one| one["expires_at"].is_string());
    let ids: Vec<_> = sign_ins.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 2, "{tokens}");
    assert_eq!(request(&house, "DELETE", &format!("{path}/{}", ids[0]), operator(), "").await.0, 200);
    assert_eq!((status(&second).await, status(&third).await), (401, 200));
    let identity = "/api/v3/people/ada/identity";
    assert_eq!(request(&house, "DELETE", identity, operator(), "").await.0, 200);
    assert_eq!(request(&house, "DELETE", identity, operator(), "").await.0, 404);
    assert_eq!(status(&third).await, 401);
    refused(&sign_in(&house, &provider, "/").await, 403, "you came as `ada-1`");
    let told = audit(&house).await;
    assert!(told.contains("sign-out") && told.contains("identity.remove"), "{told}");
    house.running.stop().await;
}

#[actix_web::test]
async fn one_person_has_so_many_sign_ins_and_the_oldest_makes_room() {
    let provider = Provider::new();
    let house = house(&provider).await;
    let first = signed_in(&house, &provider).await;
    let second = signed_in(&house, &provider).await;
    for _ in 0..19 {
        signed_in(&house, &provider).await;
    }
    let status = async |cookie: &str| page::get(&house, "/", cookie).await.status;
    assert_eq!((status(&first).await, status(&second).await), (401, 200));
    house.running.stop().await;
}

#[actix_web::test]
async fn no_secret_of_a_sign_in_lies_in_the_store_and_none_is_shown() {
    let provider = Provider::new();
    let house = house(&provider).await;
    let cookie = signed_in(&house, &provider).await;
    let tag = cookie.trim().rsplit('.').next().unwrap();
    let told = audit(&house).await;
    for secret in [tag, SECRET, "access-1", "code-0"] {
        assert!(!told.contains(secret), "{secret}");
        for file in ["store.db", "store.db-wal"] {
            let bytes = fs::read(data_dir(&house.folder).join(file)).unwrap_or_default();
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{file} {secret}"
            );
        }
    }
    house.running.stop().await;
}

#[actix_web::test]
async fn without_a_provider_there_is_no_door_and_nobody_is_linked_to_one() {
    let house = House::new().await;
    person(&house, "ada", &[]).await;
    assert!(!page::get(&house, "/", "").await.text().contains("/sign-in/oidc"));
    for path in ["/sign-in/oidc", "/sign-in/oidc/callback?code=x&state=x"] {
        refused(&page::get(&house, path, "").await, 404, "nobody signs in by a provider here");
    }
    let (status, text) = link(&house, "ada", EMAIL).await;
    assert!(status == 409 && text.contains("--oidc-issuer"), "{text}");
    house.running.stop().await;
}

#[actix_web::test]
async fn a_provider_that_cannot_be_trusted_or_asked_keeps_the_server_from_its_start() {
    let sound = Provider::new().settings();
    let issuer =
        |issuer: &str| Some(control_plane::IdentityProvider { issuer: issuer.to_owned(), ..sound.clone() });
    for (provider, everywhere, calls, words) in [
        (issuer("http://id.example"), false, true, "begins with https://"),
        (issuer("id.example"), false, true, "`id.example` is no issuer"),
        (issuer("https://id.example?x=1"), false, true, "is no issuer"),
        (issuer("https://id.example"), true, true, "--public-url"),
        (issuer("https://id.example"), false, false, "calls nobody"),
    ] {
        let folder = TempDir::new().unwrap();
        let mut settings = settings(&folder);
        settings.identity_provider = provider;
        if everywhere {
            settings.listen = ([0, 0, 0, 0], 0).into();
        }
        if calls {
            settings.outbound = Some(Caller::new());
        }
        let error = start(settings, log()).await.map(drop).unwrap_err();
        assert!(matches!(error, StartError::SignIn(_)) && error.to_string().contains(words), "{error}");
    }
}
