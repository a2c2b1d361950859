//! The options that say where orbs come from.

use clap::Args;
use std::{path::PathBuf, str::FromStr};

/// Where published orbs lie.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OrbStore {
    /// The folder of published orbs [default: orbs in the state folder] [env: ROUNDHOUSE_ORBS]
    #[arg(long = "orbs", value_name = "DIR", help_heading = "Orbs")]
    pub(crate) folder: Option<PathBuf>,

    /// Fetch orbs that are named by an address which begins so: https://…/; may be repeated
    #[arg(
        long = "orb-url",
        value_name = "PREFIX",
        env = "ROUNDHOUSE_ORB_URLS",
        value_delimiter = ',',
        help_heading = "Orbs"
    )]
    pub(crate) prefixes: Vec<Prefix>,
}

/// How an address begins that orbs may be fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(pub(crate) String);

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_host = |rest: &str| !rest.starts_with('/') && !rest.contains(['@', '?', '#', ' ']);
        match text.strip_prefix("https://").filter(|rest| is_host(rest) && rest.ends_with('/')) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err("write https://host/ or https://host/path/, with a slash at its end".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_names_a_host_whole_and_ends_with_a_slash() {
        for right in ["https://orbs.acme.example/", "https://acme.example:8443/orbs/ci/"] {
            assert!(right.parse::<Prefix>().is_ok(), "{right}");
        }
        for wrong in [
            "",
            "http://acme.example/",
            "https://acme.example",
            "https:///x/",
            "https://u@a/",
            "https://a/?x/",
        ] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }
}
