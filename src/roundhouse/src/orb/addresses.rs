//! Orbs that are named by an address: which may be fetched, and their text.

use crate::{
    arguments::Prefix,
    connect::block_on,
    failure::{Failure, OrFail, causes},
};
use client::{Proxies, Settings, Transport};
use compiler::orb::{Missing, Orb};
use std::{path::PathBuf, time::Duration};

/// The addresses that orbs may be fetched from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    prefixes: Vec<Prefix>,
}

impl Addresses {
    /// Those that begin so.
    pub(crate) fn new(prefixes: Vec<Prefix>) -> Self {
        Self { prefixes }
    }

    /// Fetches the orb at an address.
    pub(crate) fn fetch(&self, url: &str) -> Result<Orb, Missing> {
        let Some(prefix) = self.prefix_of(url) else {
            let reason = "its address is none of those that orbs may be fetched from".to_owned();
            let folder = url.rsplit_once('/').map_or(url, |(folder, _)| folder);
            return Err(Missing {
                reason,
                help: format!("`--orb-url {folder}/` or ROUNDHOUSE_ORB_URLS allows it"),
            });
        };
        let missing = |failure: Failure| Missing {
            reason: failure.message,
            help: "where the network does not allow that, publish its source by a name".to_owned(),
        };
        let source = text_at(&prefix.0, url).map_err(missing)?;
        Ok(Orb { version: url.to_owned(), source })
    }

    fn prefix_of(&self, url: &str) -> Option<&Prefix> {
        // What a server makes of these may lie elsewhere.
        let small = url.to_ascii_lowercase();
        let is_plain = !["/../", "/./", "%2e", "%2f", "\\", " "].iter().any(|part| small.contains(part));
        self.prefixes
            .iter()
            .find(|prefix| is_plain && url.len() > prefix.0.len() && url.starts_with(&prefix.0))
    }
}

fn text_at(base: &str, url: &str) -> Result<String, Failure> {
    let transport = Transport::new(elsewhere(base)?).or_usage(url)?;
    block_on(async {
        let text = transport.registry().text(url).await;
        text.map_err(|error| Failure::machinery(format!("it cannot be fetched: {}", causes(&error))))
    })
}

/// How to reach what is no control plane.
pub(crate) fn elsewhere(url: &str) -> Result<Settings, Failure> {
    let mut settings = Settings::new(url);
    settings.ca_file =
        std::env::var_os("ROUNDHOUSE_CA_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
    settings.proxies = Proxies::from_environment().or_usage("the proxy of the environment")?;
    settings.patience = Duration::from_secs(10);
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_as_allowed_is_fetched() {
        let allowed = ["https://orbs.acme.example/", "https://other.example/ci/"];
        let addresses = Addresses::new(allowed.iter().map(|prefix| prefix.parse().unwrap()).collect());
        for right in ["https://orbs.acme.example/x.yml", "https://other.example/ci/v1/x.yml?raw=1"] {
            assert!(addresses.prefix_of(right).is_some(), "{right}");
        }
        for wrong in [
            "https://orbs.acme.example",
            "https://orbs.acme.example/",
            "https://orbs.acme.example.evil/x.yml",
            "http://orbs.acme.example/x.yml",
            "https://other.example/x.yml",
            "https://other.example/ci/../x.yml",
            "https://other.example/ci/%2E%2e/x.yml",
        ] {
            assert!(addresses.prefix_of(wrong).is_none(), "{wrong}");
            let missing = addresses.fetch(wrong).unwrap_err();
            assert!(missing.help.contains("--orb-url"), "{missing:?}");
        }
    }
}
