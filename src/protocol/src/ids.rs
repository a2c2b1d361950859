//! Names: of pipelines, workflows, jobs, tasks, resource classes, contents and leases.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 hexadecimal digits in five groups, as the addresses of the page have it")]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self).map_err(|_| NotAnId)
            }
        }
    };
}

id!(
    /// One run of a configuration: one or more workflows.
    PipelineId
);
id!(
    /// One run of a workflow: a graph of jobs.
    WorkflowId
);
id!(
    /// One job in one workflow run. `parallelism: n` makes it n tasks.
    JobId
);
id!(
    /// One task: what one task-agent runs, once.
    TaskId
);

/// Counts the leases of one task, from 1. A write that names an older one is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A step's place in its task: 0 is the launch-agent's own «Spin up environment», the job's steps follow from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepNumber(pub u32);

impl StepNumber {
    /// The launch-agent's own step, whose log stays open as long as the task.
    pub const HOST: Self = Self(0);

    /// The name of this step's spool file: `000.log` and so on.
    pub fn spool_name(self) -> String {
        format!("{:03}.log", self.0)
    }
}

/// `namespace/name`: what a job asks for and a launch-agent's token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceClass(String);

/// Text that is no `namespace/name`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no resource class: write namespace/name, of letters, digits, `.`, `-` and `_`")]
pub struct NotAResourceClass(pub String);

impl ResourceClass {
    /// The whole of it, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the slash.
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }
}

impl TryFrom<String> for ResourceClass {
    type Error = NotAResourceClass;

    fn try_from(text: String) -> Result<Self, NotAResourceClass> {
        let word = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
        };
        match text.split_once('/') {
            Some((namespace, name)) if word(namespace) && word(name) => Ok(Self(text)),
            _ => Err(NotAResourceClass(text)),
        }
    }
}

impl FromStr for ResourceClass {
    type Err = NotAResourceClass;

    fn from_str(text: &str) -> Result<Self, NotAResourceClass> {
        text.to_owned().try_into()
    }
}

impl From<ResourceClass> for String {
    fn from(class: ResourceClass) -> Self {
        class.0
    }
}

impl fmt::Display for ResourceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of some content: 64 lower-case hexadecimal digits. Names every blob.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Text that is no SHA-256.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no SHA-256: 64 lower-case hexadecimal digits are wanted")]
pub struct NotADigest(pub String);

impl Digest {
    /// The digest with these 32 bytes.
    pub fn of_bytes(hash: &[u8; 32]) -> Self {
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() == 64 && text.bytes().all(hex) { Ok(Self(text)) } else { Err(NotADigest(text)) }
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        text.to_owned().try_into()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_class_is_two_words_and_a_slash() {
        for good in ["acme/linux", "a.b/c-d_e"] {
            assert_eq!(good.parse::<ResourceClass>().unwrap().as_str(), good);
        }
        for bad in ["", "acme", "acme/", "/linux", "a/b/c", "a b/c"] {
            assert_eq!(bad.parse::<ResourceClass>(), Err(NotAResourceClass(bad.to_owned())));
        }
    }

    #[test]
    fn a_digest_is_64_lower_case_hexadecimal_digits() {
        let digest = Digest::of_bytes(&[0xab; 32]);
        assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
        assert!("AB".repeat(32).parse::<Digest>().is_err());
        assert!("ab".repeat(31).parse::<Digest>().is_err());
    }
}
