//! Orbs by reference: `namespace/name@version`, the versions that fit one, and where sources come from.

use std::{fmt, str::FromStr};

/// Where the sources of published orbs come from.
pub trait Orbs: fmt::Debug + Send + Sync {
    /// The orb that a reference names; else why it is not there, and what to do about that.
    fn find(&self, reference: &Reference) -> Result<Orb, Missing>;

    /// The orb at an `https://` address, where that is allowed.
    fn at(&self, url: &str) -> Result<Orb, Missing>;
}

/// A published orb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orb {
    /// The exact version: `1.2.3` or `dev:x`.
    pub version: String,
    /// Its packed text.
    pub source: String,
}

/// Why an orb is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// In one sentence, after the orb's name.
    pub reason: String,
    /// How to get it.
    pub help: String,
}

/// What a configuration writes to name a published orb.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// `namespace/name`
    pub name: String,
    /// Which version is wanted.
    pub wanted: Wanted,
}

/// Which version of an orb is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// `@1`, `@1.2`, `@1.2.3`: the newest that begins so.
    Numbers(Vec<u64>),
    /// `@volatile`: the newest of all.
    Volatile,
    /// `@dev:x`
    Development(String),
}

/// A text that is no orb's reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReference;

impl fmt::Display for NoReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write namespace/name@1.2.3, @1.2, @1, @volatile or @dev:name")
    }
}

impl std::error::Error for NoReference {}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.wanted)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                f.write_str(&numbers.join("."))
            }
            Self::Volatile => f.write_str("volatile"),
            Self::Development(label) => write!(f, "dev:{label}"),
        }
    }
}

impl Reference {
    /// Whether it names one version, as is published: `@1.2.3`, or `@dev:x`.
    pub fn is_version(&self) -> bool {
        match &self.wanted {
            Wanted::Numbers(numbers) => numbers.len() == 3,
            Wanted::Development(_) => true,
            Wanted::Volatile => false,
        }
    }
}

impl FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        let (name, version) = text.trim().split_once('@').ok_or(NoReference)?;
        let parts: Vec<&str> = name.split('/').collect();
        let whole = matches!(parts[..], [namespace, name] if is_word(namespace) && is_word(name));
        if !whole {
            return Err(NoReference);
        }
        Ok(Self { name: name.to_owned(), wanted: version.parse()? })
    }
}

impl FromStr for Wanted {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        if text == "volatile" {
            return Ok(Self::Volatile);
        }
        if let Some(label) = text.strip_prefix("dev:") {
            return if is_word(label) { Ok(Self::Development(label.to_owned())) } else { Err(NoReference) };
        }
        let numbers = numbers(text).filter(|numbers| numbers.len() <= 3).ok_or(NoReference)?;
        Ok(Self::Numbers(numbers))
    }
}

/// Whether a text can be a folder's name wherever orbs are kept.
fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(fits)
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    version.split('.').map(|part| part.parse().ok().filter(|_| digits(part))).collect()
}

/// The newest of the versions that fits what is wanted.
pub fn newest<'v>(wanted: &Wanted, versions: impl IntoIterator<Item = &'v str>) -> Option<&'v str> {
    let mut versions = versions.into_iter();
    let begin: &[u64] = match wanted {
        Wanted::Development(label) => {
            return versions.find(|version| version.strip_prefix("dev:") == Some(label));
        }
        Wanted::Volatile => &[],
        Wanted::Numbers(numbers) => numbers,
    };
    let numbered = versions.filter_map(|version| Some((numbers(version)?, version)));
    let fitting = numbered.filter(|(numbers, _)| numbers.len() == 3 && numbers.starts_with(begin));
    fitting.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wanted: &str, expect: Option<&str>) {
        let versions = ["1.2.3", "1.2.10", "1.10.0", "2.0.0", "0.9.1", "dev:x", "dev:first"];
        assert_eq!(newest(&wanted.parse().unwrap(), versions), expect, "{wanted}");
    }

    #[test]
    fn a_reference_takes_the_newest_version_that_begins_as_it_does() {
        check("1.2.3", Some("1.2.3"));
        check("1.2", Some("1.2.10"));
        check("1", Some("1.10.0"));
        check("volatile", Some("2.0.0"));
        check("dev:x", Some("dev:x"));
        check("dev:y", None);
        check("1.3", None);
        check("3", None);
    }

    #[test]
    fn a_reference_reads_as_it_is_written() {
        for text in ["circleci/node@5.1.0", "a/b@1", "a-b/c_d@1.2", "a/b@volatile", "a/b@dev:x-1"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "node",
            "a/b",
            "a@1",
            "a/b/c@1",
            "a/b@",
            "a/b@x",
            "a/b@1.2.3.4",
            "a/b@+1",
            "../b@1",
            "a/b@dev:../x",
        ] {
            assert_eq!(text.parse::<Reference>(), Err(NoReference), "{text}");
        }
    }
}
