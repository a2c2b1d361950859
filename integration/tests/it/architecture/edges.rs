//! Which crate uses which, as cargo says.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Crate to the crates it uses.
pub(crate) type Edges = BTreeMap<String, BTreeSet<String>>;

/// The workspace's crates.
pub(crate) struct Workspace {
    packages: Vec<Value>,
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(arguments).arg("--offline").current_dir(super::source::root()).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

impl Workspace {
    pub(crate) fn read() -> Self {
        let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&metadata).expect("cargo writes JSON");
        Self { packages: metadata["packages"].as_array().expect("a list").clone() }
    }

    /// Each crate's crates of this workspace; those of its tests apart.
    pub(crate) fn edges(&self) -> Edges {
        let rooms: BTreeSet<_> = self.packages.iter().map(|package| text(&package["name"])).collect();
        self.uses(|dependency| rooms.contains(&text(&dependency["name"])) && !dependency["path"].is_null())
    }

    /// Each crate's libraries from elsewhere; those of its tests apart.
    pub(crate) fn libraries(&self) -> Edges {
        self.uses(|dependency| dependency["path"].is_null())
    }

    fn uses(&self, wanted: impl Fn(&Value) -> bool) -> Edges {
        let of = |package: &Value| {
            let all = package["dependencies"].as_array().cloned().unwrap_or_default();
            let used = all.iter().filter(|used| used["kind"].is_null() && wanted(used));
            (text(&package["name"]), used.map(|used| text(&used["name"])).collect())
        };
        self.packages.iter().map(of).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Everything that a program is made of.
pub(crate) fn programs_tree(package: &str) -> BTreeSet<String> {
    let tree = cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none"]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
