//! What comes into the programs: licenses, bans, and who uses whom as the map of the house says.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("the toolchain that built this test is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the toolchain writes UTF-8")
}

/// All packages that this host's programs are made of, and the tests'.
fn packages() -> Vec<Value> {
    let version = printed("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata = printed(
        &cargo,
        &["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", host],
    );
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("a list").clone()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// The quoted strings of one list of deny.toml.
fn listed(list: &str, before: &str) -> BTreeSet<String> {
    let rules = read("deny.toml");
    let (_, rest) = rules.split_once(&format!("\n{list} = [")).expect("deny.toml has the list");
    let (items, _) = rest.split_once("\n]").expect("the list ends");
    let quoted = items.lines().filter_map(|line| line.trim().strip_prefix(before)?.split('"').next());
    quoted.map(str::to_owned).collect()
}

/// Whether a license expression can be met by allowed licenses: every part between `AND`s by one of its `OR`s.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let choices = expression.replace('/', " OR ");
    choices.split(" AND ").all(|part| {
        part.trim_matches(['(', ')', ' ']).split(" OR ").any(|license| allowed.contains(license.trim()))
    })
}

#[test]
fn every_license_is_one_of_those_allowed() {
    let allowed = listed("allow", "\"");
    let foreign = packages().into_iter().filter(|package| !package["source"].is_null());
    let wrong: Vec<_> = foreign
        .filter(|package| !is_met(text(package, "license"), &allowed))
        .map(|package| format!("{}: {}", text(&package, "name"), text(&package, "license")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_banned_crate_is_in_the_programs_or_in_the_lock() {
    let banned = listed("deny", "{ crate = \"");
    assert!(banned.contains("openssl-sys") && banned.contains("aws-lc-sys"), "{banned:?}");
    let locked = read("Cargo.lock");
    let locked =
        locked.lines().filter_map(|line| line.strip_prefix("name = ")).map(|name| name.trim_matches('"'));
    let packages = packages();
    let named: BTreeSet<_> = packages.iter().map(|package| text(package, "name")).chain(locked).collect();
    let wrong: Vec<_> = banned.iter().filter(|name| named.contains(name.as_str())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn everything_comes_from_the_one_registry() {
    let locked = read("Cargo.lock");
    let sources: BTreeSet<_> = locked.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert_eq!(sources.len(), 1, "{sources:?}");
}

/// The table of the map: crate to what it may use.
fn map() -> BTreeMap<String, BTreeSet<String>> {
    let map = read("src/README.md");
    let rows = map.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.trim_end_matches('|').split('|').collect();
        let [name, _, may_use] = cells.as_slice() else { return None };
        let uses = may_use.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((name.trim().trim_end_matches('`').to_owned(), uses))
    });
    rows.collect()
}

#[test]
fn who_uses_whom_is_as_the_map_says() {
    let map = map();
    let packages = packages();
    let own: Vec<_> = packages.iter().filter(|package| package["source"].is_null()).collect();
    let rooms: BTreeSet<_> = own.iter().map(|package| text(package, "name")).collect();
    assert_eq!(rooms, map.keys().map(String::as_str).collect(), "src/README.md has one row for each crate");
    for package in own {
        let dependencies = package["dependencies"].as_array().expect("a list");
        let used = dependencies.iter().filter(|used| used["kind"].is_null()).map(|used| text(used, "name"));
        let may_use = &map[text(package, "name")];
        let wrong: Vec<_> = used.filter(|used| rooms.contains(used) && !may_use.contains(*used)).collect();
        assert!(wrong.is_empty(), "{} may use {may_use:?}, but uses {wrong:?}", text(package, "name"));
    }
}

#[test]
fn license_expressions_are_understood() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for met in ["MIT", "GPL-3.0 OR MIT", "(GPL-3.0 OR MIT) AND ISC", "GPL-3.0/MIT"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
