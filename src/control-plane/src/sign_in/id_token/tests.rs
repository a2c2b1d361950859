//! ID tokens with one thing wrong each.

use super::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::json;

const NOW: i64 = 1_800_000_000;
const EXPECTED: Expected<'_> =
    Expected { issuer: "https://id.example", client: "roundhouse", nonce: "n-1", now: NOW };

/// Made for these tests, and used for nothing else.
const RSA: &[u8] = include_bytes!("../../../tests/rsa-2048.pk8");

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A provider's two keys.
struct Signer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap();
        Self { rsa: RsaKeyPair::from_pkcs8(RSA).unwrap(), ec, random }
    }

    fn published(&self) -> Value {
        let rsa = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        json!({"keys": [
            {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": encoded(&rsa.n), "e": encoded(&rsa.e)},
            {"kty": "EC", "kid": "e", "crv": "P-256", "x": encoded(x), "y": encoded(y)},
        ]})
    }

    fn keys(&self) -> Keys {
        Keys::read(self.published()).unwrap()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed =
            format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = if header["alg"] == "ES256" {
            self.ec.sign(&self.random, signed.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, signed.as_bytes(), &mut signature).unwrap();
            signature
        };
        format!("{signed}.{}", encoded(&signature))
    }

    fn check(&self, header: &Value, claims: &Value) -> Result<Checked, Wrong> {
        self.keys().check(&self.token(header, claims), EXPECTED)
    }
}

fn rs256() -> Value {
    json!({"alg": "RS256", "kid": "r", "typ": "JWT"})
}

fn es256() -> Value {
    json!({"alg": "ES256", "kid": "e"})
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "sub": "ada-1", "aud": "roundhouse", "nonce": "n-1",
        "iat": NOW - 5, "exp": NOW + 300, "email": "ada@example.org",
    })
}

/// With another value for a claim, or without it where that is null.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

#[test]
fn a_sound_token_says_who_it_is_by_either_algorithm_with_and_without_the_keys_name() {
    let signer = Signer::new();
    for header in [rs256(), es256(), json!({"alg": "RS256"}), json!({"alg": "ES256"})] {
        let checked = signer.check(&header, &claims()).unwrap();
        assert_eq!(checked.subject, "ada-1");
        assert_eq!(checked.claims["email"], "ada@example.org");
    }
    for sound in [
        with("aud", json!(["roundhouse"])),
        with("azp", json!("roundhouse")),
        with("exp", json!(NOW - 59)),
        with("exp", json!(300.5 + NOW as f64)),
        with("nbf", json!(NOW)),
        with("iat", json!(NOW + 60)),
    ] {
        assert!(signer.check(&rs256(), &sound).is_ok(), "{sound}");
    }
    let mut for_two = with("aud", json!(["roundhouse", "other"]));
    for_two["azp"] = json!("roundhouse");
    assert!(signer.check(&es256(), &for_two).is_ok());
}

#[test]
fn a_claim_that_is_wrong_or_not_there_is_refused_by_name() {
    let signer = Signer::new();
    let party = |name: &str, audience: Value| {
        let mut claims = with("aud", audience);
        claims["azp"] = json!(name);
        claims
    };
    for (claims, wrong) in [
        (with("iss", json!("https://id.example/")), Wrong::Issuer("https://id.example/".to_owned())),
        (with("iss", Value::Null), Wrong::Claim("iss")),
        (with("aud", json!("other")), Wrong::Audience),
        (with("aud", json!([])), Wrong::Audience),
        (with("aud", json!(["roundhouse", "other"])), Wrong::Audience),
        (with("aud", Value::Null), Wrong::Claim("aud")),
        (with("aud", json!({"roundhouse": 1})), Wrong::Claim("aud")),
        (party("other", json!("roundhouse")), Wrong::Audience),
        (party("other", json!(["roundhouse", "other"])), Wrong::Audience),
        (party("roundhouse", json!(["other"])), Wrong::Audience),
        (with("azp", json!(7)), Wrong::Claim("azp")),
        (with("exp", json!(NOW - 60)), Wrong::Expired),
        (with("exp", json!(-1)), Wrong::Claim("exp")),
        (with("exp", json!("soon")), Wrong::Claim("exp")),
        (with("exp", json!(1e300)), Wrong::Claim("exp")),
        (with("exp", Value::Null), Wrong::Claim("exp")),
        (with("iat", json!(NOW + 61)), Wrong::Early),
        (with("iat", Value::Null), Wrong::Claim("iat")),
        (with("nbf", json!(NOW + 61)), Wrong::Early),
        (with("nbf", json!([])), Wrong::Claim("nbf")),
        (with("nonce", json!("n-2")), Wrong::Nonce),
        (with("nonce", Value::Null), Wrong::Claim("nonce")),
        (with("sub", json!("")), Wrong::Claim("sub")),
        (with("sub", json!("a\nb")), Wrong::Claim("sub")),
        (with("sub", json!("x".repeat(256))), Wrong::Claim("sub")),
        (with("sub", json!(7)), Wrong::Claim("sub")),
        (with("sub", Value::Null), Wrong::Claim("sub")),
    ] {
        assert_eq!(signer.check(&rs256(), &claims), Err(wrong), "{claims}");
    }
}

#[test]
fn no_other_algorithm_is_taken_whatever_it_is_signed_with() {
    let signer = Signer::new();
    let claims = encoded(claims().to_string().as_bytes());
    let n = signer.published()["keys"][0]["n"].as_str().unwrap().to_owned();
    for key in [n.as_str(), "the client's secret", ""] {
        let alg = "HS256";
        let signed = format!("{}.{claims}", encoded(json!({"alg": alg, "kid": "r"}).to_string().as_bytes()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_bytes());
        let token = format!("{signed}.{}", encoded(ring::hmac::sign(&key, signed.as_bytes()).as_ref()));
        assert_eq!(signer.keys().check(&token, EXPECTED), Err(Wrong::Algorithm(alg.to_owned())));
    }
    for alg in ["none", "None", "NONE", "", "rs256", "RS384", "PS256", "ES384", "EdDSA"] {
        let header = encoded(json!({"alg": alg, "kid": "r"}).to_string().as_bytes());
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{claims}.{signature}");
            assert_eq!(signer.keys().check(&token, EXPECTED), Err(Wrong::Algorithm(alg.to_owned())), "{alg}");
        }
    }
    let no_alg = format!("{}.{claims}.", encoded(br#"{"kid": "r"}"#));
    assert_eq!(signer.keys().check(&no_alg, EXPECTED), Err(Wrong::Algorithm(String::new())));
}

#[test]
fn a_signature_of_another_key_or_over_another_text_is_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let forged = other.token(&es256(), &claims());
    assert_eq!(signer.keys().check(&forged, EXPECTED), Err(Wrong::Signature));
    let nameless = other.token(&json!({"alg": "ES256"}), &claims());
    assert_eq!(signer.keys().check(&nameless, EXPECTED), Err(Wrong::UnknownKey));
    for header in [rs256(), es256()] {
        let token = signer.token(&header, &claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (head, _) = signed.split_once('.').unwrap();
        let changed = encoded(with("sub", json!("eve-1")).to_string().as_bytes());
        for wrong in [format!("{head}.{changed}.{signature}"), format!("{signed}."), format!("{signed}.AAAA")]
        {
            assert_eq!(signer.keys().check(&wrong, EXPECTED), Err(Wrong::Signature), "{wrong}");
        }
    }
    // The other key's name, and the other algorithm's.
    let crossed = signer.token(&json!({"alg": "RS256", "kid": "e"}), &claims());
    assert_eq!(signer.keys().check(&crossed, EXPECTED), Err(Wrong::UnknownKey));
    let unknown = signer.token(&json!({"alg": "RS256", "kid": "z"}), &claims());
    assert_eq!(signer.keys().check(&unknown, EXPECTED), Err(Wrong::UnknownKey));
    let critical = json!({"alg": "RS256", "kid": "r", "crit": ["x"]});
    assert_eq!(signer.check(&critical, &claims()), Err(Wrong::Critical));
    let odd = json!({"alg": "RS256", "kid": ["r"]});
    assert_eq!(signer.check(&odd, &claims()), Err(Wrong::Shape));
}

#[test]
fn what_is_no_signed_jwt_is_refused() {
    let signer = Signer::new();
    let token = signer.token(&rs256(), &claims());
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        &token[1..],
        &format!("{token}.x"),
        &format!("{token}="),
        token.rsplit_once('.').unwrap().0,
        &format!("{}.e30.AAAA", encoded(b"[]")),
    ] {
        assert_eq!(signer.keys().check(bad, EXPECTED), Err(Wrong::Shape), "{bad}");
    }
}

#[test]
fn keys_that_are_not_for_id_tokens_verify_none() {
    let signer = Signer::new();
    let mut published = signer.published();
    published["keys"][0]["use"] = json!("enc");
    published["keys"][1]["alg"] = json!("ES384");
    let all = published["keys"].as_array_mut().unwrap();
    all.push(json!({"kty": "oct", "kid": "o", "k": "AAAA"}));
    all.push(json!({"kty": "EC", "kid": "p", "crv": "P-384", "x": "AAAA", "y": "AAAA"}));
    all.push(json!({"kty": "RSA", "kid": "q"}));
    all.push(json!("no key"));
    let keys = Keys::read(published).unwrap();
    assert!(keys.0.is_empty(), "{keys:?}");
    let token = signer.token(&rs256(), &claims());
    assert_eq!(keys.check(&token, EXPECTED), Err(Wrong::UnknownKey));
    for none in [json!({}), json!([]), json!({"keys": {}}), json!(null)] {
        assert!(Keys::read(none.clone()).is_none(), "{none}");
    }
    // A key that is too short, or no point, verifies nothing and breaks nothing.
    let weak = json!({"keys": [
        {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}, {"kty": "EC", "kid": "e", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    ]});
    let weak = Keys::read(weak).unwrap();
    for header in [rs256(), es256()] {
        assert_eq!(weak.check(&signer.token(&header, &claims()), EXPECTED), Err(Wrong::Signature));
    }
}
