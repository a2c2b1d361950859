//! Cache keys: templates with `{{ … }}` evaluated from the job's variables and files.
//!
//! `.Branch`, `.Revision`, `.BuildNum`, `.CheckoutKey`, `.Environment.X`, `checksum "file"`, `epoch` and `arch`, as
//! CircleCI documents them; white space inside the braces is free.

use crate::steps::open_regular;
use protocol::transfer::MAX_CACHE_KEY;
use sha2::{Digest, Sha256};
use std::{
    io,
    path::{Path, PathBuf},
};

/// What a template may refer to.
pub(crate) struct Facts<'f> {
    /// The value of a variable of the job.
    pub(crate) variable: &'f dyn Fn(&str) -> Option<String>,
    /// Where relative files are looked for.
    pub(crate) directory: &'f Path,
    /// What `~` stands for.
    pub(crate) home: &'f Path,
    /// Seconds since 1970.
    pub(crate) epoch: u64,
}

/// A template that gives no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// `{{` without `}}`.
    #[error("the key template `{0}` has a `{{{{` without its `}}}}`")]
    Unclosed(String),
    /// Something else than the documented references.
    #[error(
        "`{{{{ {0} }}}}` in a cache key is unknown: there are .Branch, .Revision, .BuildNum, .CheckoutKey, .Environment.NAME, checksum \"file\", epoch and arch"
    )]
    Unknown(String),
    /// The file of a checksum.
    #[error("cannot read {path} for the checksum in a cache key: {cause}")]
    Checksum {
        /// As resolved.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// More characters than a key may have.
    #[error("the cache key has {0} characters, {MAX_CACHE_KEY} are allowed")]
    TooLong(usize),
    /// Nothing is left of it.
    #[error("the cache key is empty")]
    Empty,
}

/// The key that a template stands for.
pub(crate) fn evaluate(template: &str, facts: &Facts<'_>) -> Result<String, KeyError> {
    let (mut key, mut rest) = (String::new(), template);
    while let Some((text, behind)) = rest.split_once("{{") {
        let (reference, after) =
            behind.split_once("}}").ok_or_else(|| KeyError::Unclosed(template.to_owned()))?;
        key.push_str(text);
        key.push_str(&value(reference.trim(), facts)?);
        rest = after;
    }
    key.push_str(rest);
    match key.chars().count() {
        0 => Err(KeyError::Empty),
        length if length > MAX_CACHE_KEY => Err(KeyError::TooLong(length)),
        _ => Ok(key),
    }
}

fn value(reference: &str, facts: &Facts<'_>) -> Result<String, KeyError> {
    let variable = |name: &str| (facts.variable)(name).unwrap_or_default();
    if let Some(name) = reference.strip_prefix(".Environment.") {
        return Ok(variable(name));
    }
    if let Some(file) = reference.strip_prefix("checksum") {
        return checksum(unquoted(file).ok_or_else(|| KeyError::Unknown(reference.to_owned()))?, facts);
    }
    match reference {
        ".Branch" => Ok(variable("CIRCLE_BRANCH")),
        ".Revision" => Ok(variable("CIRCLE_SHA1")),
        ".BuildNum" => Ok(variable("CIRCLE_BUILD_NUM")),
        // A machine of one's own checks out with its own key; every such key is the same to a cache.
        ".CheckoutKey" => Ok("default".to_owned()),
        "epoch" => Ok(facts.epoch.to_string()),
        "arch" => Ok(arch()),
        _ => Err(KeyError::Unknown(reference.to_owned())),
    }
}

fn unquoted(file: &str) -> Option<&str> {
    let file =
        file.strip_prefix(char::is_whitespace).or(file.starts_with(['"', '`']).then_some(file))?.trim();
    ['"', '`'].iter().find_map(|quote| file.strip_prefix(*quote)?.strip_suffix(*quote))
}

/// Base64 of the file's SHA-256, as CircleCI writes it.
fn checksum(file: &str, facts: &Facts<'_>) -> Result<String, KeyError> {
    let path = match file.strip_prefix("~/") {
        Some(below) => facts.home.join(below),
        None => facts.directory.join(file),
    };
    let mut hash = Hashing(Sha256::new());
    let copied = open_regular(&path).and_then(|mut file| io::copy(&mut file, &mut hash));
    copied.map_err(|cause| KeyError::Checksum { path, cause })?;
    Ok(base64(&hash.0.finalize()))
}

struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |group: &[u8]| {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        (0..4)
            .map(move |place| (bits >> (18 - 6 * place)) & 63)
            .map(|digit| char::from(DIGITS[digit as usize]))
            .collect::<Vec<_>>()
    };
    let padded = |group: &[u8]| {
        (0..4)
            .zip(digits(group))
            .map(|(at, digit)| if at > group.len() { '=' } else { digit })
            .collect::<String>()
    };
    bytes.chunks(3).map(padded).collect()
}

/// `linux-amd64-6_106`: system, architecture, processor family and model.
fn arch() -> String {
    let name = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |wanted: &str| {
        processor
            .lines()
            .find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == wanted))
            .map(|(_, value)| value.trim().to_owned())
    };
    match (field("cpu family"), field("model")) {
        (Some(family), Some(model)) => format!("linux-{name}-{family}_{model}"),
        _ => format!("linux-{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expect: &str) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.lock"), "hello\n").unwrap();
        let variable = |name: &str| match name {
            "CIRCLE_BRANCH" => Some("feature/x".to_owned()),
            "CIRCLE_SHA1" => Some("abc".to_owned()),
            "CIRCLE_BUILD_NUM" => Some("7".to_owned()),
            "NODE" => Some("20".to_owned()),
            _ => None,
        };
        let facts =
            Facts { variable: &variable, directory: directory.path(), home: directory.path(), epoch: 99 };
        let seen = evaluate(template, &facts).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(seen.replace(&*directory.path().to_string_lossy(), "DIR"), expect);
    }

    #[test]
    fn references_are_replaced_and_white_space_is_free() {
        check("v1-{{ .Branch }}-{{.Revision}}-{{  .BuildNum}}", "v1-feature/x-abc-7");
        check("{{ .Environment.NODE }}-{{ .Environment.MISSING }}-{{ epoch }}", "20--99");
        check("plain", "plain");
    }

    #[test]
    fn a_checksum_is_base64_of_the_sha_256() {
        check("d-{{ checksum \"a.lock\" }}", "d-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=");
        check("{{checksum `~/a.lock`}}", "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=");
    }

    #[test]
    fn what_gives_no_key_is_refused_by_name() {
        check(
            "{{ checksum \"none\" }}",
            "error: cannot read DIR/none for the checksum in a cache key: No such file or directory (os error 2)",
        );
        check("a{{ .Branch", "error: the key template `a{{ .Branch` has a `{{` without its `}}`");
        check(
            "{{ .Nope }}",
            "error: `{{ .Nope }}` in a cache key is unknown: there are .Branch, .Revision, .BuildNum, .CheckoutKey, .Environment.NAME, checksum \"file\", epoch and arch",
        );
        check("", "error: the cache key is empty");
        check(&"k".repeat(901), "error: the cache key has 901 characters, 900 are allowed");
    }

    #[test]
    fn base64_pads_to_whole_groups() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_architecture_names_system_and_processor() {
        assert!(arch().starts_with("linux-"));
    }
}
