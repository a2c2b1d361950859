//! What a provider says of a visitor, signed: checked in every respect before any of it is believed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far apart the clocks may be, in seconds.
const LEEWAY: i64 = 60;
/// The most keys of a provider that are looked at.
const MOST_KEYS: usize = 100;
/// The longest name that a provider has for somebody, in bytes.
pub(crate) const LONGEST_SUBJECT: usize = 255;

/// A provider's public keys, as far as they sign ID tokens.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point on P-256, as it is written out.
    Ec(Vec<u8>),
}

/// A key as providers publish it.
#[derive(Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// How a token may be signed.
#[derive(Clone, Copy, PartialEq)]
enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    fn of(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// What a token is to say.
#[derive(Clone, Copy)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) client: &'e str,
    pub(super) nonce: &'e str,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// What a sound token says.
#[derive(Debug, PartialEq)]
pub(crate) struct Checked {
    /// As the provider calls the visitor, for good.
    pub(super) subject: String,
    /// All of it.
    pub(super) claims: Map<String, Value>,
}

/// What is wrong with a token.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("it is no signed JWT")]
    Shape,
    #[error("it is signed by `{0}`, and only RS256 and ES256 are taken")]
    Algorithm(String),
    #[error("it wants something understood that is not (`crit`)")]
    Critical,
    #[error("none of the provider's keys is the one that it names")]
    UnknownKey,
    #[error("its signature is not valid")]
    Signature,
    #[error("it has no sound `{0}`")]
    Claim(&'static str),
    #[error("it is of another issuer, {0}")]
    Issuer(String),
    #[error("it is for others than this server")]
    Audience,
    #[error("it has expired; do both clocks go right?")]
    Expired,
    #[error("it is of a time to come; do both clocks go right?")]
    Early,
    #[error("it is of another sign-in")]
    Nonce,
}

impl Keys {
    /// The keys of a published set that can sign ID tokens; the others are passed over.
    pub(super) fn read(mut set: Value) -> Option<Self> {
        let Some(Value::Array(all)) = set.get_mut("keys").map(Value::take) else { return None };
        let published = all.into_iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value(key).ok());
        Some(Self(published.filter_map(key).collect()))
    }

    /// What a token says, if all about it is as it should be.
    pub(super) fn check(&self, token: &str, expected: Expected<'_>) -> Result<Checked, Wrong> {
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Wrong::Shape);
        };
        let signed = &token[..header.len() + 1 + claims.len()];
        self.verify(&read(header)?, signed, &decoded(signature)?)?;
        judge(read(claims)?, expected)
    }

    fn verify(&self, header: &Map<String, Value>, signed: &str, signature: &[u8]) -> Result<(), Wrong> {
        let name = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let algorithm = Algorithm::of(name).ok_or_else(|| Wrong::Algorithm(name.to_owned()))?;
        if header.contains_key("crit") {
            return Err(Wrong::Critical);
        }
        let id = match header.get("kid") {
            None => None,
            Some(id) => Some(id.as_str().ok_or(Wrong::Shape)?),
        };
        let is_named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut fitting = self.0.iter().filter(is_named).filter(|key| key.signs_by(algorithm)).peekable();
        if fitting.peek().is_none() {
            return Err(Wrong::UnknownKey);
        }
        let is_valid = fitting.any(|key| key.has_signed(signed.as_bytes(), signature));
        // One that names no key may be of one that is not known yet.
        let wrong = if id.is_some() { Wrong::Signature } else { Wrong::UnknownKey };
        if is_valid { Ok(()) } else { Err(wrong) }
    }
}

/// None: it is of a kind that no token is taken by.
fn key(published: Published) -> Option<Key> {
    let Published { kty, kid, usage, alg, crv, n, e, x, y } = published;
    let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let material = match kty.as_str() {
        "RSA" => Material::Rsa { n: number(bytes(n)?), e: number(bytes(e)?) },
        "EC" if crv.as_deref() == Some("P-256") => {
            // A point as it is written out: one byte that says so, and its two coordinates.
            let point = [vec![4], bytes(x)?, bytes(y)?].concat();
            Material::Ec(point)
        }
        _ => return None,
    };
    let key = Key { id: kid, material };
    let is_for_this = usage.is_none_or(|usage| usage == "sig")
        && alg.is_none_or(|name| Algorithm::of(&name).is_some_and(|alg| key.signs_by(alg)));
    is_for_this.then_some(key)
}

/// Without zeros before it.
fn number(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

impl Key {
    fn signs_by(&self, algorithm: Algorithm) -> bool {
        match self.material {
            Material::Rsa { .. } => algorithm == Algorithm::Rs256,
            Material::Ec(_) => algorithm == Algorithm::Es256,
        }
    }

    fn has_signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
            }
            Material::Ec(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature).is_ok()
            }
        }
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, Wrong> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Wrong::Shape)
}

fn read(part: &str) -> Result<Map<String, Value>, Wrong> {
    serde_json::from_slice(&decoded(part)?).map_err(|_| Wrong::Shape)
}

fn judge(claims: Map<String, Value>, expected: Expected<'_>) -> Result<Checked, Wrong> {
    let text = |name: &'static str| claims.get(name).and_then(Value::as_str).ok_or(Wrong::Claim(name));
    let issuer = text("iss")?;
    if issuer != expected.issuer {
        return Err(Wrong::Issuer(issuer.to_owned()));
    }
    if !is_for(&claims, expected.client)? {
        return Err(Wrong::Audience);
    }
    judge_times(&claims, expected.now)?;
    if text("nonce")? != expected.nonce {
        return Err(Wrong::Nonce);
    }
    let subject = text("sub")?.to_owned();
    if !is_subject(&subject) {
        return Err(Wrong::Claim("sub"));
    }
    Ok(Checked { subject, claims })
}

/// Whether a text may be a provider's name for somebody.
pub(crate) fn is_subject(text: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// One that is for several says whose it is, and one that says so is that client's.
fn is_for(claims: &Map<String, Value>, client: &str) -> Result<bool, Wrong> {
    let audience: Vec<_> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => return Err(Wrong::Claim("aud")),
    };
    let party = match claims.get("azp") {
        None => None,
        Some(party) => Some(party.as_str().ok_or(Wrong::Claim("azp"))?),
    };
    let is_party = party.map_or(audience.len() == 1, |party| party == client);
    Ok(is_party && audience.contains(&client))
}

fn judge_times(claims: &Map<String, Value>, now: i64) -> Result<(), Wrong> {
    let time = |name: &'static str| claims.get(name).map(|value| seconds(value).ok_or(Wrong::Claim(name)));
    let wanted = |name: &'static str| time(name).unwrap_or(Err(Wrong::Claim(name)));
    let (expires, issued) = (wanted("exp")?, wanted("iat")?);
    let begins = time("nbf").transpose()?.unwrap_or(issued);
    if expires.saturating_add(LEEWAY) <= now {
        return Err(Wrong::Expired);
    }
    if issued.max(begins) > now.saturating_add(LEEWAY) {
        return Err(Wrong::Early);
    }
    Ok(())
}

/// A number may have a fraction.
fn seconds(value: &Value) -> Option<i64> {
    const MOST: f64 = 1e15;
    let number = value.as_f64().filter(|number| (0.0..MOST).contains(number))?;
    // Within what the type holds; the fraction is of no use.
    Some(number as i64)
}

#[cfg(test)]
mod tests;
