//! The OpenAPI document beside the server: the same calls in both, and every answer of these tests as it says.

use crate::house::{House, OPERATOR, ask};
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// As it is served.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../assets/openapi.json")).expect("the document is JSON")
});

/// A method and a path with its places in braces.
pub(crate) type Call = (String, String);

/// All calls of the document.
pub(crate) fn documented() -> BTreeSet<Call> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let calls = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    calls.collect()
}

/// All sources of the control plane.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The text behind a word up to the next quotation mark, and what follows.
fn quoted<'t>(text: &'t str, word: &str) -> Option<(&'t str, &'t str)> {
    let (_, behind) = text.split_once(word)?;
    behind.split_once('"')
}

/// A pattern with only the names of its places.
fn plain(pattern: &str) -> String {
    let mut depth = 0;
    let mut named = true;
    let mut text = String::new();
    for c in pattern.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        named = depth == 0 || (named && !(depth == 1 && c == ':'));
        if named {
            text.push(c);
        }
    }
    text
}

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The calls that a source registers.
fn registered(text: &str) -> BTreeSet<Call> {
    let prefix = quoted(text, "scope(\"").map_or("", |(prefix, _)| prefix);
    let mut calls = BTreeSet::new();
    for word in ["resource(\"", ".route(\""] {
        for piece in text.split(word).skip(1) {
            let (pattern, rest) = piece.split_once('"').unwrap();
            // Up to where the next one begins.
            let ends = ["resource(\"", ".route(\"/", "\n}"].iter().filter_map(|end| rest.find(end));
            let own = &rest[..ends.min().unwrap_or(rest.len())];
            for method in METHODS {
                if own.contains(&format!("{method}().to(")) {
                    calls.insert((method.to_uppercase(), plain(&format!("{prefix}{pattern}"))));
                }
            }
        }
    }
    calls
}

#[test]
fn every_route_is_in_the_document_and_nothing_else_is() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let routes: BTreeSet<_> = files.iter().flat_map(|path| registered(&text(path))).collect();
    let documented = documented();
    let missing: Vec<_> = routes.difference(&documented).collect();
    assert!(missing.is_empty(), "not in assets/openapi.json: {missing:#?}");
    let strange: Vec<_> = documented.difference(&routes).collect();
    assert!(strange.is_empty(), "no route of the server: {strange:#?}");
}

/// A path with something in each of its places.
pub(crate) fn filled(path: &str) -> String {
    let mut filled = path.to_owned();
    for (place, value) in [("number", "7"), ("index", "0"), ("step", "1"), ("digest", &"0".repeat(64))] {
        filled = filled.replace(&format!("{{{place}}}"), value);
    }
    while let Some((before, rest)) = filled.split_once('{') {
        let (_, after) = rest.split_once('}').unwrap();
        filled = format!("{before}01a20a77-725c-7754-917b-f019c337a449{after}");
    }
    filled
}

#[actix_web::test]
async fn the_server_finds_every_documented_call_by_its_own_route() {
    let house = House::new().await;
    for (method, path) in documented() {
        let (status, body) = ask(&house, &method, &filled(&path), None).await;
        assert_ne!(status, 405, "{method} {path}: {body}");
    }
    let token = Some(("Circle-Token", OPERATOR));
    let (_, metrics) = ask(&house, "GET", "/metrics", token).await;
    for (method, path) in documented().iter().filter(|(_, path)| path != "/metrics") {
        let counted = format!("roundhouse_requests_total{{route=\"{path}\",method=\"{method}\",");
        assert!(metrics.contains(&counted), "another route took {method} {path}:\n{metrics}");
    }
    house.running.stop().await;
}

/// What a reference within the document leads to.
fn resolved(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(name) => resolved(DOCUMENT.pointer(name.trim_start_matches('#')).expect(name)),
        None => value,
    }
}

/// Whether a path may be one of this form: a place holds one part of it or more.
fn fits(form: &str, path: &str) -> bool {
    let Some((before, rest)) = form.split_once('{') else { return form == path };
    let Some(path) = path.strip_prefix(before) else { return false };
    let (_, form) = rest.split_once('}').unwrap();
    (1..=path.len()).any(|end| path.is_char_boundary(end) && fits(form, &path[end..]))
}

/// The documented call that is meant: the one with most letters of its own.
fn meant(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap();
    let own = |form: &str| form.split('{').map(|part| part.rsplit('}').next().unwrap().len()).sum::<usize>();
    let all = DOCUMENT["paths"].as_object().unwrap().iter().filter(|(form, _)| fits(form, path));
    let found = all.filter(|(_, item)| item.get(method.to_lowercase()).is_some());
    found.max_by_key(|(form, _)| own(form)).map(|(_, item)| &item[method.to_lowercase()])
}

/// An answer is as the document says.
#[track_caller]
pub(crate) fn conforms(method: &str, path: &str, status: u16, body: &str) {
    let Some(call) = meant(method, path) else { return assert!([404, 405].contains(&status), "{path}") };
    let answer = call["responses"].get(status.to_string());
    let answer = answer.unwrap_or_else(|| panic!("{method} {path} is never answered {status}: {body}"));
    let json = resolved(answer).get("content").and_then(|content| content.get("application/json"));
    if let Some(content) = json {
        let value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        let wrong = wrong(&content["schema"], &value);
        assert!(wrong.is_none(), "{method} {path} {status}: {}\n{body}", wrong.unwrap_or_default());
    }
}

/// Why a value is not as a schema says.
fn wrong(schema: &'static Value, value: &Value) -> Option<String> {
    let schema = resolved(schema);
    schema.as_object().unwrap().iter().find_map(|(word, rule)| {
        let holds = match word.as_str() {
            "type" => types(rule).any(|kind| is_a(kind, value)),
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "anyOf" => rule.as_array().unwrap().iter().any(|one| wrong(one, value).is_none()),
            "format" | "pattern" => value.as_str().is_none_or(|text| is_shaped(rule.as_str().unwrap(), text)),
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                rule.as_array().unwrap().iter().all(has)
            }
            "items" => return value.as_array().into_iter().flatten().find_map(|item| wrong(rule, item)),
            "properties" => return members(rule.as_object().unwrap(), value),
            "additionalProperties" => return others(schema, rule, value),
            "description" => true,
            word => panic!("`{word}` is not known to this test"),
        };
        (!holds).then(|| format!("{word} {rule}: {value}"))
    })
}

fn types(rule: &'static Value) -> impl Iterator<Item = &'static str> {
    let many = rule.as_array().into_iter().flatten();
    many.chain(Some(rule)).filter_map(Value::as_str)
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        kind => panic!("no type `{kind}`"),
    }
}

fn is_shaped(shape: &str, text: &str) -> bool {
    match shape {
        "uuid" => text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4,
        "date-time" => text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T',
        "^[0-9a-f]{64}$" => text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "^[^/]+/[^/]+$" => text.split('/').filter(|part| !part.is_empty()).count() == 2,
        shape => panic!("no shape `{shape}`"),
    }
}

fn members(rules: &'static Map<String, Value>, value: &Value) -> Option<String> {
    rules.iter().find_map(|(name, rule)| {
        let wrong = wrong(rule, value.get(name)?)?;
        Some(format!("{name}: {wrong}"))
    })
}

fn others(schema: &'static Value, rule: &'static Value, value: &Value) -> Option<String> {
    let named = schema.get("properties").and_then(Value::as_object);
    let is_other = |name: &str| named.is_none_or(|named| !named.contains_key(name));
    let mut others = value.as_object()?.iter().filter(|(name, _)| is_other(name));
    match rule.as_bool() {
        Some(true) => None,
        Some(false) => others.next().map(|(name, _)| format!("there is no `{name}`")),
        None => others.find_map(|(_, value)| wrong(rule, value)),
    }
}

#[test]
fn what_is_not_as_a_schema_says_is_found() {
    let check = |name: &str, value: &str, fits: bool| {
        let schema = &DOCUMENT["components"]["schemas"][name];
        let wrong = wrong(schema, &serde_json::from_str(value).unwrap());
        assert_eq!(wrong.is_none(), fits, "{name} {value}: {wrong:?}");
    };
    check("Message", r#"{"message": "no"}"#, true);
    check("Message", r#"{"message": 1}"#, false);
    check("Message", r#"{}"#, false);
    check("Message", r#"{"message": "no", "more": 1}"#, false);
    check("JobStatus", r#""on_hold""#, true);
    check("JobStatus", r#""waiting""#, false);
    check("Acknowledged", r#"{"next_record": 0, "logs": {"1": 5}}"#, true);
    check("Acknowledged", r#"{"next_record": 0, "logs": {"1": -5}}"#, false);
    let of_job = meant("GET", "/api/v2/project/gh/acme/shop/job/1?x=/pipeline").unwrap();
    assert_eq!(of_job["summary"], "A job by its number");
}
