//! `roundhouse ssh-key`.

use super::Connection;
use clap::{Args, Subcommand};
use std::{path::PathBuf, str::FromStr};

/// `roundhouse ssh-key`.
#[derive(Args, Debug)]
pub(crate) struct SshKeys {
    /// What of them.
    #[command(subcommand)]
    pub(crate) command: SshKeyCommand,
}

/// What there is to do with SSH keys.
#[derive(Debug, Subcommand)]
pub(crate) enum SshKeyCommand {
    /// Give a project a key: for `add_ssh_keys`, or for its checkouts
    Create {
        /// The project, as `pipeline run` names it
        project: String,

        /// The private key, without a passphrase; `-` is standard input. Without one a checkout key is made
        #[arg(long, value_name = "FILE", required_unless_present = "checkout")]
        key: Option<PathBuf>,

        /// The host that jobs use it for [default: all]
        #[arg(long, value_name = "NAME", conflicts_with = "checkout")]
        host_name: Option<String>,

        /// Jobs check out with it; its public half, which the repository's host has to know, is printed
        #[arg(long)]
        checkout: bool,

        #[command(flatten)]
        connection: Connection,
    },
    /// List the keys of a project, without their private halves
    List {
        /// The project
        project: String,

        #[command(flatten)]
        connection: Connection,
    },
    /// Take a key away from a project
    Delete {
        /// The project
        project: String,

        /// Either fingerprint of the key
        fingerprint: String,

        #[command(flatten)]
        connection: Connection,
    },
}

/// `FILE[=HOST]`: a private key, and the host that jobs use it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFile {
    /// Where it lies.
    pub(crate) file: PathBuf,
    /// If not for all hosts.
    pub(crate) hostname: Option<String>,
}

impl FromStr for KeyFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (file, hostname) = match text.rsplit_once('=') {
            Some((file, host)) if !host.is_empty() => (file, Some(host.to_owned())),
            Some(_) => return Err("write FILE, or FILE=HOST".to_owned()),
            None => (text, None),
        };
        if file.is_empty() {
            Err("write FILE, or FILE=HOST".to_owned())
        } else {
            Ok(Self { file: file.into(), hostname })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_for_all_hosts_or_for_one() {
        let read = |text: &str| text.parse::<KeyFile>().map(|one| (one.file, one.hostname));
        assert_eq!(read("a=b/key"), Ok(("a".into(), Some("b/key".to_owned()))));
        assert_eq!(read("~/.ssh/key"), Ok(("~/.ssh/key".into(), None)));
        assert_eq!(read("key=deploy.example"), Ok(("key".into(), Some("deploy.example".to_owned()))));
        assert!(read("").is_err() && read("key=").is_err() && read("=host").is_err());
    }
}
