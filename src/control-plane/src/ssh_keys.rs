//! SSH keys of projects: made or taken, shown without their private halves, and given to the tasks that need them.

mod material;

use crate::{
    plane::{Plane, clock::wall_ms, live::Pipeline},
    refusal::Refusal,
};
pub(crate) use material::KeyProblem;
use material::Material;
use protocol::{
    api::{KnownSshKey, NewSshKey},
    repository::{self, Ssh, SshKey, Transport},
    task::{Action, Source, Step},
};
use store::{ProjectId, SshKeyRow, StoreError, Write};

/// The most keys of one project: each is in the spec of a task that asks for all.
const MOST: usize = 100;

impl Plane {
    /// Takes a key, or makes one.
    pub(crate) async fn add_ssh_key(&self, project: &str, new: NewSshKey) -> Result<KnownSshKey, Refusal> {
        let (key, public_key) = taken(&new)?;
        let id = self.projects.get(&self.store, project).await?.id;
        if self.store.ssh_keys(id).await?.len() >= MOST {
            return Err(Refusal::Conflict(format!(
                "{project} has {MOST} SSH keys already: delete one of them first"
            )));
        }
        let row = SshKeyRow {
            project: id,
            sealed: self.vault.seal_for(&bound(id, &key.fingerprint), key.private_key.as_bytes()),
            fingerprint: key.fingerprint,
            sha256: key.sha256,
            checkout: new.checkout,
            hostname: key.hostname,
            public_key,
            created_ms: wall_ms(),
        };
        let known = known(row.clone());
        let twice = || Refusal::Conflict(format!("{project} has the SSH key {} already", known.fingerprint));
        match self.store.write(None, vec![Write::SshKey(Box::new(row))]).await {
            Err(StoreError::Conflict(_)) => Err(twice()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(known),
        }
    }

    /// The keys of a project, the newest last.
    pub(crate) async fn ssh_keys(&self, project: &str) -> Result<Vec<KnownSshKey>, Refusal> {
        let Some((id, ..)) = self.store.project(project).await? else { return Ok(Vec::new()) };
        Ok(self.store.ssh_keys(id).await?.into_iter().map(known).collect())
    }

    /// Takes a key away from a project, by either fingerprint.
    pub(crate) async fn remove_ssh_key(&self, project: &str, fingerprint: &str) -> Result<(), Refusal> {
        let missing =
            || Refusal::Missing(format!("{project} has no SSH key with the fingerprint {fingerprint}"));
        let (id, ..) = self.store.project(project).await?.ok_or_else(missing)?;
        let rows = self.store.ssh_keys(id).await?;
        let row = rows.into_iter().find(|row| row.fingerprint == fingerprint || row.sha256 == fingerprint);
        let row = row.ok_or_else(missing)?;
        self.write(vec![Write::RemoveSshKey(id, row.fingerprint)]).await?;
        Ok(())
    }

    /// What a task with these steps has for SSH: only what they ask for.
    pub(crate) async fn ssh_of(&self, pipeline: &Pipeline, steps: &[Step]) -> Result<Ssh, Refusal> {
        let checks_out = steps.iter().any(|step| matches!(step.action, Action::Checkout { .. }))
            && matches!(
                &pipeline.source,
                Source::Git { url, .. } if repository::transport(url) == Ok(Transport::Ssh)
            );
        // What strangers wrote gets no key but the one without which it could not be checked out.
        let is_own = pipeline.git.fork().is_none();
        let wanted = steps.iter().filter_map(|step| asked(&step.action)).filter(|_| is_own);
        let wanted: Vec<&[String]> = wanted.collect();
        if !checks_out && wanted.is_empty() {
            return Ok(Ssh::default());
        }
        let rows = self.store.ssh_keys(pipeline.project).await?;
        let mut ssh = Ssh { known_hosts: self.rules.known_hosts.clone(), ..Ssh::default() };
        for row in rows {
            let is_for_checkout = row.checkout;
            let key = self.opened(row)?;
            match is_for_checkout {
                true if checks_out => ssh.checkout = Some(key),
                false if is_wanted(&wanted, &key) => ssh.keys.push(key),
                _ => {}
            }
        }
        let given = pipeline.variables.ssh_keys.iter().filter(|key| is_wanted(&wanted, key));
        ssh.keys.extend(given.cloned());
        Ok(ssh)
    }

    /// The key that the project's checkouts use.
    pub(crate) async fn checkout_key(&self, project: ProjectId) -> Result<Option<SshKey>, Refusal> {
        let rows = self.store.ssh_keys(project).await?;
        rows.into_iter().rfind(|row| row.checkout).map(|row| self.opened(row)).transpose()
    }

    fn opened(&self, row: SshKeyRow) -> Result<SshKey, Refusal> {
        let unreadable = || {
            Refusal::Unavailable(format!(
                "the SSH key {} was sealed with another key of this server",
                row.fingerprint
            ))
        };
        let opened = self.vault.unseal_for(&bound(row.project, &row.fingerprint), &row.sealed);
        let private_key = opened.ok().and_then(|text| String::from_utf8(text).ok()).ok_or_else(unreadable)?;
        Ok(SshKey { fingerprint: row.fingerprint, sha256: row.sha256, hostname: row.hostname, private_key })
    }
}

/// The fingerprints that a step asks for; none of them: all.
fn asked(action: &Action) -> Option<&[String]> {
    match action {
        Action::AddSshKeys { fingerprints } => Some(fingerprints),
        _ => None,
    }
}

fn is_wanted(wanted: &[&[String]], key: &SshKey) -> bool {
    wanted.iter().any(|list| list.is_empty() || list.iter().any(|written| key.is_called(written)))
}

/// A sealed key opens for its project and under its own name only.
pub(crate) fn bound(project: ProjectId, fingerprint: &str) -> Vec<u8> {
    format!("ssh key {} {fingerprint}", project.0).into_bytes()
}

fn known(row: SshKeyRow) -> KnownSshKey {
    KnownSshKey {
        fingerprint: row.fingerprint,
        sha256: row.sha256,
        public_key: row.public_key,
        hostname: row.hostname,
        checkout: row.checkout,
        created_ms: row.created_ms,
    }
}

/// A key that came, with its names; the public half beside it.
fn taken(new: &NewSshKey) -> Result<(SshKey, String), Refusal> {
    let bad = |problem: KeyProblem| Refusal::Bad(problem.to_string());
    let hostname = new.hostname.clone().filter(|name| !name.trim().is_empty());
    if let Some(name) = hostname.as_deref().filter(|name| !is_host(name)) {
        return Err(Refusal::Bad(format!("`{name}` is no name of a host")));
    }
    let material = match &new.private_key {
        Some(text) => Material::read(text).map_err(bad)?,
        None => Material::make(),
    };
    let key = SshKey {
        fingerprint: material.fingerprint(),
        sha256: material.sha256(),
        hostname,
        private_key: material.private_key.clone(),
    };
    Ok((key, material.public_key()))
}

/// The keys that came with a pipeline.
pub(crate) fn given(keys: &[NewSshKey]) -> Result<Vec<SshKey>, Refusal> {
    keys.iter().take(MOST).map(|new| taken(new).map(|(key, _)| key)).collect()
}

/// A name or pattern of `ssh_config`.
fn is_host(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-_:*?[]".contains(c);
    name.len() <= 255 && !name.starts_with('-') && name.chars().all(is_part)
}
