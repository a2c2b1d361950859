//! A new key for all that lies sealed, while everything goes on.
//!
//! ```text
//! the file has the new key before the old ──▶ all is sealed anew, a part at a time ──▶ nothing is left under the old ──▶ the file has
//! the new key alone
//! ```
//!
//! A kill anywhere in between leaves a file with both keys, by which all opens; the next start goes on with it. So does a backup
//! that is being made: its database may lie sealed under the old key, and the file is copied after it. The old key is forgotten
//! an hour later then.

use crate::{
    audit::Deed,
    contexts, data_dir, oidc, outgoing,
    pipelines::texts,
    plane::{Plane, people::Who},
    refusal::Refusal,
    ssh_keys, statuses, triggers,
};
use protocol::people::EVERYWHERE;
use slog::{info, warn};
use std::{io, path::Path, sync::Arc};
use store::{OfPipelines, Resealed, SealedName, Write};

/// Pipelines that are looked at in one go, and values that are written in one.
const PART: u32 = 128;

/// What a value's seal is bound to.
fn owner(name: &SealedName) -> Vec<u8> {
    match name {
        SealedName::Pipeline(id) => id.0.as_bytes().to_vec(),
        SealedName::Configuration(id) => texts::bound(*id),
        SealedName::SshKey(project, fingerprint) => ssh_keys::bound(*project, fingerprint),
        SealedName::Repository(project) => triggers::bound(*project),
        SealedName::StatusToken(project) => statuses::bound(*project),
        SealedName::Webhook(id) => outgoing::bound(*id),
        SealedName::Variable(owner, name) => contexts::bound(*owner, name),
    }
}

impl Plane {
    /// Makes a new key and seals all with it; how many values that were.
    pub(crate) async fn rotate_key(self: &Arc<Self>, by: &Who) -> Result<u64, Refusal> {
        let Some(directory) = &self.rules.key_directory else {
            return Err(Refusal::Conflict("the key of this control plane is in memory alone".to_owned()));
        };
        let _one = self.rotating.lock().await;
        self.vault.renew(directory).map_err(|error| unwritten(&error))?;
        self.tell_of(by, Deed::KeyRotated, (EVERYWHERE, data_dir::KEY)).await?;
        self.seal_anew(directory).await
    }

    /// Goes on with what an earlier life began, or a copy was in the way of.
    pub(crate) async fn finish_rotation(self: Arc<Self>) {
        let Some(directory) = self.rules.key_directory.clone().filter(|_| self.vault.has_old()) else {
            return;
        };
        let _one = self.rotating.lock().await;
        match self.seal_anew(&directory).await {
            Ok(values) => {
                info!(self.log, "all that lay sealed with an old key is sealed with the new"; "values" => values)
            }
            Err(error) => {
                warn!(self.log, "not all is sealed with the new key: the old one is kept"; "error" => %error)
            }
        }
    }

    /// Until a look finds nothing: what was sealed a moment before the new key was there may be written a moment later.
    async fn seal_anew(&self, directory: &Path) -> Result<u64, Refusal> {
        oidc::reseal(&self.vault, directory).map_err(|error| unwritten(&error))?;
        let mut values = 0;
        loop {
            let resealed = self.seal_once().await?;
            values += resealed;
            if resealed == 0 {
                break;
            }
        }
        match self.removals.now(|| self.vault.forget_old(directory)) {
            Some(forgotten) => forgotten.map_err(|error| unwritten(&error))?,
            None => info!(self.log, "a copy is being made that may need the old key: it is forgotten later"),
        }
        Ok(values)
    }

    async fn seal_once(&self) -> Result<u64, Refusal> {
        let mut values = 0;
        let others = self.store.sealed().await?;
        for part in others.chunks(PART as usize) {
            values += self.reseal(part).await?;
        }
        for what in [OfPipelines::Variables, OfPipelines::Configurations] {
            let mut behind = None;
            loop {
                let part = self.store.sealed_pipelines(what, behind, PART).await?;
                let Some((SealedName::Pipeline(last) | SealedName::Configuration(last), _)) = part.last()
                else {
                    break;
                };
                behind = Some(*last);
                values += self.reseal(&part).await?;
            }
        }
        Ok(values)
    }

    /// What does not open under any key stays as it is, and is said where it is used.
    async fn reseal(&self, part: &[(SealedName, Vec<u8>)]) -> Result<u64, Refusal> {
        let anew = |(name, old): &(SealedName, Vec<u8>)| {
            let new = self.vault.resealed(&owner(name), old)?;
            Some(Write::Resealed(Resealed { name: name.clone(), old: old.clone(), new }.into()))
        };
        let writes: Vec<_> = part.iter().filter_map(anew).collect();
        let number = writes.len() as u64;
        if number > 0 {
            self.write(writes).await?;
        }
        Ok(number)
    }
}

fn unwritten(error: &io::Error) -> Refusal {
    Refusal::Full(format!("cannot write the key: {error}; the old one is kept"))
}
