//! Who a visitor is at the provider, and what is taken of what it says besides.

use super::id_token::Checked;
use serde_json::{Map, Value};
use std::fmt;

/// The longest e-mail address there is, in bytes.
const LONGEST_EMAIL: usize = 254;
/// The most groups of one visitor, and the longest name of one in bytes.
const MOST_GROUPS: usize = 1000;
const LONGEST_GROUP: usize = 300;

/// Who a visitor is at the provider.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity {
    pub(super) issuer: String,
    /// As the provider calls them, for good.
    pub(super) subject: String,
    pub(super) email: Option<Email>,
    pub(super) groups: Vec<String>,
}

/// An address, and whether the provider knows that it is theirs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Email {
    Verified(String),
    Unverified(String),
}

/// As it is told to themselves.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of {}", self.subject, self.issuer)?;
        match &self.email {
            Some(Email::Verified(address)) => write!(f, ", with the verified e-mail address {address}"),
            Some(Email::Unverified(address)) => {
                write!(f, ", with the e-mail address {address}, which it has not verified")
            }
            None => f.write_str(", without an e-mail address"),
        }
    }
}

impl Identity {
    /// From a sound ID token and, for what is not in it, from what the provider answers besides.
    pub(super) fn new(
        issuer: &str,
        checked: Checked,
        besides: &Map<String, Value>,
        group_claim: Option<&str>,
    ) -> Self {
        let Checked { subject, claims } = checked;
        // An address and the word about it come from one place.
        let email = if tells_email(&claims) { email(&claims) } else { email(besides).or(email(&claims)) };
        let named = group_claim.and_then(|name| claims.get(name).or(besides.get(name)));
        Self { issuer: issuer.to_owned(), subject, email, groups: named.map(groups).unwrap_or_default() }
    }

    /// The address that is theirs for certain.
    pub(super) fn verified_email(&self) -> Option<&str> {
        match &self.email {
            Some(Email::Verified(address)) => Some(address),
            _ => None,
        }
    }
}

/// Whether nothing is to be asked besides: all that is wanted is in these claims.
pub(super) fn is_all(claims: &Map<String, Value>, group_claim: Option<&str>) -> bool {
    tells_email(claims) && group_claim.is_none_or(|name| claims.contains_key(name))
}

fn tells_email(claims: &Map<String, Value>) -> bool {
    claims.contains_key("email") && claims.contains_key("email_verified")
}

fn email(claims: &Map<String, Value>) -> Option<Email> {
    let address = address(claims.get("email")?.as_str()?)?;
    // One provider has the word in quotation marks.
    let is_verified = match claims.get("email_verified") {
        Some(Value::Bool(word)) => *word,
        Some(Value::String(word)) => word == "true",
        _ => false,
    };
    Some(if is_verified { Email::Verified(address) } else { Email::Unverified(address) })
}

/// An e-mail address as it is kept, in small letters as far as those are ASCII: others are told apart. None where it is not one.
pub(super) fn address(text: &str) -> Option<String> {
    let text = text.trim();
    let is_plain = !text.chars().any(|c| c.is_control() || c.is_whitespace() || "\"'`<>,;".contains(c));
    let (before, host) = text.split_once('@')?;
    let is_whole = !before.is_empty() && !host.is_empty() && !host.contains('@');
    (is_plain && is_whole && text.len() <= LONGEST_EMAIL).then(|| text.to_ascii_lowercase())
}

/// One name, or a list of names.
fn groups(claim: &Value) -> Vec<String> {
    let all = match claim {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let is_name = |name: &&str| (1..=LONGEST_GROUP).contains(&name.len());
    let mut names: Vec<_> =
        all.iter().filter_map(Value::as_str).filter(is_name).map(str::to_owned).take(MOST_GROUPS).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn identity(claims: &Value, besides: &Value, group_claim: Option<&str>) -> Identity {
        let checked = Checked { subject: "s".to_owned(), claims: map(claims) };
        Identity::new("https://id.example", checked, &map(besides), group_claim)
    }

    #[test]
    fn an_address_is_theirs_only_where_the_provider_says_so_in_the_same_place() {
        let none = json!({});
        for (claims, besides, verified) in [
            (json!({"email": "Ada@Example.org", "email_verified": true}), none.clone(), true),
            (json!({"email": "ada@example.org", "email_verified": "true"}), none.clone(), true),
            (json!({"email": "ada@example.org", "email_verified": false}), none.clone(), false),
            (json!({"email": "ada@example.org", "email_verified": 1}), none.clone(), false),
            (json!({"email": "ada@example.org"}), none.clone(), false),
            (none.clone(), json!({"email": "ada@example.org", "email_verified": true}), true),
            // Of another address.
            (json!({"email": "ada@example.org"}), json!({"email_verified": true}), false),
            (
                json!({"email": "eve@example.org", "email_verified": false}),
                json!({"email": "ada@example.org", "email_verified": true}),
                false,
            ),
        ] {
            let found = identity(&claims, &besides, None);
            let wanted = verified.then_some("ada@example.org");
            assert_eq!(found.verified_email(), wanted, "{claims} {besides}");
        }
        let odd = json!({"email": "a b@example.org", "email_verified": true});
        assert_eq!(identity(&odd, &none, None).email, None);
    }

    #[test]
    fn what_is_no_address_is_not_taken_for_one() {
        for bad in ["", "ada", "@example.org", "ada@", "a@b@c", "a da@b", "ada@b\n", "<ada@b>"] {
            assert!(address(bad).is_none_or(|found| found == "ada@b"), "{bad}");
        }
        assert_eq!(address(" Ada@B "), Some("ada@b".to_owned()));
        // A sign for kelvins is no k.
        assert_ne!(address("\u{212a}@b"), address("k@b"));
        assert_eq!(address(&format!("{}@b", "a".repeat(253))), None);
    }

    #[test]
    fn groups_are_a_list_or_one_name_of_the_claim_that_was_named_and_of_no_other() {
        let claims = json!({"groups": ["b", "a", "a", 7, ""], "role": "one", "https://x/y": ["z"]});
        let of = |claim| identity(&claims, &json!({"groups": ["besides"], "more": ["m"]}), claim).groups;
        assert_eq!(of(Some("groups")), ["a", "b"]);
        assert_eq!((of(Some("role")), of(Some("https://x/y"))), (vec!["one".into()], vec!["z".into()]));
        assert_eq!((of(Some("more")), of(Some("none"))), (vec!["m".into()], vec![]));
        assert_eq!(of(None), Vec::<String>::new());
    }

    #[test]
    fn a_visitor_is_told_who_came() {
        let told = |claims| identity(&claims, &json!({}), None).to_string();
        assert_eq!(told(json!({})), "`s` of https://id.example, without an e-mail address");
        let claims = json!({"email": "ada@b", "email_verified": true});
        assert_eq!(told(claims), "`s` of https://id.example, with the verified e-mail address ada@b");
        assert!(told(json!({"email": "ada@b"})).ends_with("ada@b, which it has not verified"));
    }
}
