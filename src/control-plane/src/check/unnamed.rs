//! What no row names: nothing wrong, for somebody may be about to name it, or it is swept one day.

use super::Checking;
use crate::{data_dir::LOGS, logs};
use blobs::{BlobError, Scope};

impl Checking {
    pub(super) fn count_unnamed(&mut self) -> Result<(), BlobError> {
        let mut unnamed = Vec::new();
        for folder in self.blobs.folders()? {
            // Whoever claims next is told which of these.
            if folder.scope == Scope::agents() {
                continue;
            }
            let stored = self.blobs.stored(&folder)?.into_iter().map(|stored| stored.content);
            let key = |digest| (folder.scope.clone(), digest);
            unnamed.extend(
                stored
                    .filter(|content| !self.named.contains(&key(content.digest.clone())))
                    .map(|content| content.size),
            );
        }
        unnamed.extend(self.blobs.unfinished()?);
        for (log, bytes) in logs::all_files(&self.data_dir.join(LOGS)) {
            unnamed.extend(Some(bytes).filter(|_| !self.files.contains(&(log.task, log.step))));
        }
        self.checked.unnamed = unnamed.len() as u64;
        self.checked.unnamed_bytes = unnamed.iter().sum();
        Ok(())
    }
}
