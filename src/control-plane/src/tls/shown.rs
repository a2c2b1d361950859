//! The certificate that callers are shown: once its files have a new one that is whole, that, without a restart.

use super::TlsError;
use crate::plane::Plane;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use slog::{info, warn};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is shown, and where it lies.
#[derive(Debug)]
pub(crate) struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    now: RwLock<Arc<CertifiedKey>>,
    /// Of the files that this was read from at first.
    first: [Stamp; 2],
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// By which a file that was written anew, or became readable, is told from the one before: its inode, when it was changed and
/// written, and its length. None: it is not there.
type Stamp = Option<(u64, [i64; 4], u64)>;

/// What the last look found.
#[derive(Debug)]
struct Look {
    stamps: [Stamp; 2],
    /// Why the files could not be used.
    trouble: Option<String>,
}

impl Shown {
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        // Before they are read: what is written meanwhile is seen at the first look.
        let first = stamps(certificate, key);
        let now = RwLock::new(read(certificate, key)?.into());
        Ok(Arc::new(Self { certificate: certificate.to_owned(), key: key.to_owned(), now, first }))
    }

    /// Shows what is in the files until the control plane stops; what was shown before, as long as that cannot be used.
    pub(crate) async fn keep(self: Arc<Self>, plane: Arc<Plane>) {
        let mut last = Look { stamps: self.first, trouble: None };
        let mut looks = tokio::time::interval(LOOK);
        let mut closed = std::pin::pin!(plane.closed());
        loop {
            tokio::select! {
                () = &mut closed => return,
                _ = looks.tick() => {}
            }
            match self.look(&mut last) {
                None => {}
                Some(Ok(())) => info!(plane.log, "callers are shown the certificate that is in its file now";
                    "certificate" => self.certificate.display()),
                Some(Err(error)) => {
                    warn!(plane.log, "callers are shown the certificate before still"; "error" => %error)
                }
            }
        }
    }

    /// What there is to say of the files. As long as they cannot be used they are read at each look, for what is in their way
    /// may go without a trace; and that is said once.
    fn look(&self, last: &mut Look) -> Option<Result<(), TlsError>> {
        let stamps = stamps(&self.certificate, &self.key);
        if last.trouble.is_none() && stamps == last.stamps {
            return None;
        }
        let renewed = self.renew();
        let trouble = renewed.as_ref().err().map(ToString::to_string);
        let is_known = trouble.is_some() && trouble == last.trouble;
        *last = Look { stamps, trouble };
        (!is_known).then_some(renewed)
    }

    fn renew(&self) -> Result<(), TlsError> {
        let new = read(&self.certificate, &self.key)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }
}

fn stamps(certificate: &Path, key: &Path) -> [Stamp; 2] {
    [certificate, key].map(|path| {
        let found = fs::metadata(path).ok()?;
        let times = [found.ctime(), found.ctime_nsec(), found.mtime(), found.mtime_nsec()];
        Some((found.ino(), times, found.len()))
    })
}

/// A certificate with those that vouch for it, and its key.
fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unreadable =
        |what, path: &Path, why: String| TlsError::Unreadable { what, path: path.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| unreadable("certificate", certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("certificate", certificate, "it has none".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|error| unreadable("private key", key, error.to_string()))?;
    let whole = CertifiedKey::from_der(chain, secret, &ring::default_provider());
    whole.map_err(|error| TlsError::Unusable { certificate: certificate.to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::signed;

    #[test]
    fn what_is_mended_is_shown_also_where_it_is_as_old_and_as_long_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["c.pem", "k.pem"].map(|name| folder.path().join(name));
        let (one, other) = (signed(&["a".to_owned()]).unwrap(), signed(&["a".to_owned()]).unwrap());
        fs::write(&certificate, &one.certificate).unwrap();
        fs::write(&key, &one.key).unwrap();
        let written = key.metadata().unwrap().modified().unwrap();
        let shown = Shown::read(&certificate, &key).unwrap();
        let mut last = Look { stamps: shown.first, trouble: None };
        assert!(shown.look(&mut last).is_none(), "nothing is new");
        let first = shown.now.read().unwrap().clone();
        fs::write(&certificate, &other.certificate).unwrap();
        let error = shown.look(&mut last).unwrap().unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "{error}");
        assert!(shown.look(&mut last).is_none(), "that is known");
        assert!(Arc::ptr_eq(&first, &shown.now.read().unwrap()));
        assert_eq!(one.key.len(), other.key.len());
        fs::write(&key, &other.key).unwrap();
        fs::File::options().write(true).open(&key).unwrap().set_modified(written).unwrap();
        shown.look(&mut last).unwrap().unwrap();
        assert!(!Arc::ptr_eq(&first, &shown.now.read().unwrap()));
        assert!(shown.look(&mut last).is_none());
    }

    #[test]
    fn a_file_that_could_not_be_read_for_a_moment_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key, away] = ["c.pem", "k.pem", "away"].map(|name| folder.path().join(name));
        let made = signed(&["a".to_owned()]).unwrap();
        fs::write(&certificate, &made.certificate).unwrap();
        fs::write(&key, &made.key).unwrap();
        let shown = Shown::read(&certificate, &key).unwrap();
        let mut last = Look { stamps: shown.first, trouble: None };
        fs::rename(&key, &away).unwrap();
        let error = shown.look(&mut last).unwrap().unwrap_err().to_string();
        assert!(error.contains("k.pem is no private key"), "{error}");
        fs::rename(&away, &key).unwrap();
        // As if it had been looked at between the reading and the stamps.
        last.stamps = stamps(&certificate, &key);
        shown.look(&mut last).unwrap().unwrap();
        assert!(shown.look(&mut last).is_none());
    }
}
