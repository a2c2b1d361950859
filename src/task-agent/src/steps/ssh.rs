//! The job's SSH: its keys, the hosts it knows, and an `ssh` that finds both.
//!
//! ```text
//! ~/.ssh/id_rsa                 the key of `checkout`
//! ~/.ssh/id_rsa_<fingerprint>   those of `add_ssh_keys`, each with a block in ~/.ssh/config
//! ~/.ssh/known_hosts            keys of hosts that everybody uses, and those that the control plane was told
//! ~/.ssh/bin/                   ssh, scp and sftp, before others in the PATH
//! ```
//!
//! OpenSSH looks for its files in the home that the account has, and a task has a home of its own: so a task with keys
//! finds first an `ssh` that names the files of the task to the real one. What the host and the account say holds too.

use crate::{place::Place, steps::StepError};
use protocol::{
    repository::{self, KNOWN_HOSTS, Ssh, SshKey, Transport},
    task::{Source, TaskSpec},
};
use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A program that names the task's files to the real one.
const PROGRAM: &str = include_str!("ssh/program.sh");

/// Where the programs lie that are found first.
fn programs(place: &Place) -> PathBuf {
    place.home.join(".ssh/bin")
}

/// Has the programs of a task with keys found first: they are not there before the first of its keys is.
pub(crate) fn find_first(place: &mut Place, spec: &TaskSpec) {
    let is_over_ssh = matches!(
        &spec.source,
        Source::Git { url, .. } if repository::transport(url) == Ok(Transport::Ssh)
    );
    if spec.ssh.keys.is_empty() && !is_over_ssh {
        return;
    }
    let programs = programs(place).display().to_string();
    if let Some(path) = place.variables.get_mut("PATH") {
        *path = format!("{programs}:{path}");
    }
}

/// Where a task's keys go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SshHome<'p> {
    pub(crate) place: &'p Place,
    /// Beside those that everybody has.
    pub(crate) known_hosts: &'p str,
}

impl<'p> SshHome<'p> {
    /// Of a task.
    pub(crate) fn of(place: &'p Place, ssh: &'p Ssh) -> Self {
        Self { place, known_hosts: &ssh.known_hosts }
    }

    /// Writes the keys of these fingerprints; of none, all.
    pub(crate) fn add(
        &self,
        keys: &[SshKey],
        fingerprints: &[String],
        log: &mut dyn Write,
    ) -> Result<(), StepError> {
        let missing = fingerprints.iter().find(|wanted| !keys.iter().any(|key| key.is_called(wanted)));
        if let Some(wanted) = missing {
            return Err(StepError::Refused(format!(
                "the project has no SSH key with the fingerprint {wanted}: `roundhouse ssh-key list` shows those there \
                 are, a local run takes them with --ssh-key"
            )));
        }
        let is_wanted = |key: &&SshKey| {
            fingerprints.is_empty() || fingerprints.iter().any(|wanted| key.is_called(wanted))
        };
        self.prepare()?;
        let mut added = 0;
        for key in keys.iter().filter(is_wanted) {
            self.add_one(key)?;
            let hosts = key.hostname.as_deref().unwrap_or("all hosts");
            writeln!(log, "Added the SSH key {} for {hosts}.", key.fingerprint)?;
            added += 1;
        }
        if added == 0 {
            writeln!(log, "The project has no SSH keys: none is added.")?;
        }
        Ok(())
    }

    fn add_one(&self, key: &SshKey) -> Result<(), StepError> {
        let path = self.path(&format!("id_rsa_{}", key.fingerprint.replace(':', "")));
        private(&path, &key.private_key)?;
        let host = key.hostname.as_deref().unwrap_or("*");
        let block = format!("Host {host}\n  IdentitiesOnly no\n  IdentityFile {}\n", quoted(&path));
        let config = self.path("config");
        let written = fs::read_to_string(&config).unwrap_or_default();
        if written.contains(&block) {
            return Ok(());
        }
        append(&config, &block).map_err(StepError::file(config))
    }

    /// What git is to connect with, as a variable of its environment; nothing where it does not use SSH, or where the
    /// job says it itself.
    pub(crate) fn for_checkout(
        &self,
        url: &str,
        key: Option<&SshKey>,
        log: &mut dyn Write,
    ) -> Result<Option<String>, StepError> {
        if repository::transport(url) != Ok(Transport::Ssh) {
            return Ok(None);
        }
        self.prepare()?;
        let mut command = format!("'{}'", programs(self.place).join("ssh").display());
        command += " -o BatchMode=yes -o StrictHostKeyChecking=yes";
        if let Some(key) = key {
            let path = self.path("id_rsa");
            private(&path, &key.private_key)?;
            command += &format!(" -i '{}'", path.display());
            writeln!(log, "Using the SSH key {} for the checkout.", key.fingerprint)?;
        }
        let says_itself = self.place.variables.contains_key("GIT_SSH_COMMAND");
        Ok((!says_itself).then(|| format!("GIT_SSH_COMMAND={command}")))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.home.join(".ssh").join(name)
    }

    /// The directory, the known hosts and the programs; what is there already stays.
    fn prepare(&self) -> Result<(), StepError> {
        let programs = programs(self.place);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&programs)
            .map_err(StepError::file(&programs))?;
        let path = self.path("known_hosts");
        let written = fs::read_to_string(&path).unwrap_or_default();
        for lines in [KNOWN_HOSTS, self.known_hosts].into_iter().filter(|lines| !written.contains(*lines)) {
            append(&path, &format!("{}\n", lines.trim_end())).map_err(StepError::file(&path))?;
        }
        private(&programs.join("config"), &self.config())?;
        for name in ["ssh", "scp", "sftp"] {
            let path = programs.join(name);
            let text = PROGRAM.replace("NAME", name).replace("PROGRAMS", &programs.display().to_string());
            private(&path, &text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(StepError::file(&path))?;
        }
        Ok(())
    }

    /// The first word on anything counts: the job's, the host's, the account's, and then where keys lie.
    fn config(&self) -> String {
        let [config, key, hosts] = ["config", "id_rsa", "known_hosts"].map(|name| quoted(&self.path(name)));
        format!(
            "Include {config}\nInclude /etc/ssh/ssh_config\nInclude ~/.ssh/config\nHost *\n  IdentityFile {key}\n  \
             UserKnownHostsFile {hosts} ~/.ssh/known_hosts\n"
        )
    }
}

/// As ssh reads it: a `%` of its own stands for something.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// Writes a file that its owner alone may read, never through a link or over what somebody has open.
pub(super) fn private(path: &Path, text: &str) -> Result<(), StepError> {
    let written = match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::options().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            file.write_all(text.trim_end().as_bytes())?;
            file.write_all(b"\n")
        }),
    };
    written.map_err(StepError::file(path))
}

/// Adds to a file; a new one its owner alone may read.
pub(super) fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::{place, told};

    fn key(fingerprint: &str, hostname: Option<&str>) -> SshKey {
        SshKey {
            fingerprint: fingerprint.to_owned(),
            sha256: format!("SHA256:{fingerprint}"),
            hostname: hostname.map(str::to_owned),
            private_key: format!("key {fingerprint}"),
        }
    }

    fn add(place: &Place, fingerprints: &[&str], log: &mut Vec<u8>) -> Result<(), StepError> {
        let keys = [key("aa:01", Some("deploy.example")), key("bb:02", None)];
        let fingerprints: Vec<_> = fingerprints.iter().map(|one| (*one).to_owned()).collect();
        SshHome { place, known_hosts: "mine ssh-ed25519 AAAA" }.add(&keys, &fingerprints, log)
    }

    #[test]
    fn a_key_is_written_for_its_host_and_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let (place, mut log) = (place(root.path()), Vec::new());
        add(&place, &["aa:01"], &mut log).unwrap();
        add(&place, &["SHA256:aa:01"], &mut log).unwrap();
        let ssh = root.path().join(".ssh");
        let path = ssh.join("id_rsa_aa01");
        assert_eq!(fs::read_to_string(&path).unwrap(), "key aa:01\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&ssh).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!ssh.join("id_rsa_bb02").exists());
        let config = fs::read_to_string(ssh.join("config")).unwrap();
        let block =
            format!("Host deploy.example\n  IdentitiesOnly no\n  IdentityFile \"{}\"\n", path.display());
        assert_eq!(config, block, "once, however often it is added");
        assert!(told(&log, root.path()).starts_with("Added the SSH key aa:01 for deploy.example.\n"));
    }

    #[test]
    fn without_fingerprints_all_keys_are_added() {
        let root = tempfile::tempdir().unwrap();
        let (place, mut log) = (place(root.path()), Vec::new());
        add(&place, &[], &mut log).unwrap();
        assert!(told(&log, root.path()).contains("bb:02 for all hosts"));
        let known = fs::read_to_string(root.path().join(".ssh/known_hosts")).unwrap();
        assert!(known.contains("github.com ssh-ed25519 ") && known.ends_with("mine ssh-ed25519 AAAA\n"));
    }

    #[test]
    fn a_fingerprint_that_no_key_has_is_named_and_nothing_is_written() {
        let root = tempfile::tempdir().unwrap();
        let refused = add(&place(root.path()), &["aa:01", "cc:03"], &mut Vec::new()).unwrap_err();
        assert!(refused.to_string().contains("no SSH key with the fingerprint cc:03"), "{refused}");
        assert!(!root.path().join(".ssh").exists());
    }
}
