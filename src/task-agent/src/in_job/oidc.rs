//! `run oidc get`: a token by which the job proves to others which job it is.

use super::{Failure, ask::text, say};
use protocol::job::{Call, are_audiences};
use serde_json::{Map, Value};

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let audience = audience(arguments)?;
    say(&(text(&Call::Token { audience })? + "\n"))
}

/// Of `--claims`: that one may say whom the token is for, and nothing else.
fn audience(arguments: &[String]) -> Result<Vec<String>, Failure> {
    let (mut arguments, mut audience) = (arguments.iter(), Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.split_once('=').map_or((argument.as_str(), None), |(name, value)| (name, Some(value)))
        {
            ("--claims", Some(claims)) => audience = of_claims(claims)?,
            ("--claims", None) => {
                let claims = arguments.next();
                let missing = || Failure::Usage("--claims wants a JSON object".to_owned());
                audience = of_claims(claims.ok_or_else(missing)?)?;
            }
            // All tokens of a control plane have one issuer, which is the root of all.
            ("--root-issuer", None) => {}
            _ => return Err(Failure::Usage(format!("`{argument}` is no option of run oidc get"))),
        }
    }
    Ok(audience)
}

fn of_claims(text: &str) -> Result<Vec<String>, Failure> {
    let wrong = |why: String| Failure::Usage(format!("--claims: {why}"));
    let claims: Map<String, Value> = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if let Some(other) = claims.keys().find(|name| *name != "aud") {
        return Err(wrong(format!("`{other}` cannot be chosen, `aud` alone can")));
    }
    let audience = match claims.get("aud") {
        None => return Ok(Vec::new()),
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(several)) => several.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    let audience = audience.filter(|audience| !audience.is_empty() && are_audiences(audience));
    audience.ok_or_else(|| wrong("`aud` wants a text, or a list of at most sixteen".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Vec<String>, String> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        audience(&arguments).map_err(|failure| failure.to_string())
    }

    #[test]
    fn claims_say_whom_a_token_is_for() {
        assert_eq!(of(&[]).unwrap(), Vec::<String>::new());
        assert_eq!(of(&["--claims", "{}"]).unwrap(), Vec::<String>::new());
        assert_eq!(of(&["--root-issuer", "--claims={\"aud\": \"sigstore\"}"]).unwrap(), ["sigstore"]);
        assert_eq!(of(&["--claims", "{\"aud\": [\"a\", \"b\"]}"]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn other_claims_and_odd_ones_are_refused_by_name() {
        for (arguments, named) in [
            (vec!["--claims", "{\"sub\": \"me\"}"], "`sub` cannot be chosen"),
            (vec!["--claims", "{\"aud\": 7}"], "`aud` wants a text"),
            (vec!["--claims", "{\"aud\": []}"], "`aud` wants a text"),
            (vec!["--claims", "aud"], "--claims: expected"),
            (vec!["--claims"], "wants a JSON object"),
            (vec!["--ttl", "5m"], "`--ttl` is no option"),
        ] {
            let said = of(&arguments).unwrap_err();
            assert!(said.contains(named), "{said}");
        }
    }
}
