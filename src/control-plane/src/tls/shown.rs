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
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is shown, and where it lies.
#[derive(Debug)]
pub(crate) struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    now: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// By which a file that was written anew is told from the one before; none: it is not there.
type Stamp = Option<(SystemTime, u64)>;

impl Shown {
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let now = RwLock::new(read(certificate, key)?.into());
        Ok(Arc::new(Self { certificate: certificate.to_owned(), key: key.to_owned(), now }))
    }

    /// Shows what is in the files until the control plane stops; what was shown before, as long as that cannot be used.
    pub(crate) async fn keep(self: Arc<Self>, plane: Arc<Plane>) {
        let mut seen = self.stamps();
        let mut looks = tokio::time::interval(LOOK);
        let mut closed = std::pin::pin!(plane.closed());
        loop {
            tokio::select! {
                () = &mut closed => return,
                _ = looks.tick() => {}
            }
            let stamps = self.stamps();
            if stamps == seen {
                continue;
            }
            seen = stamps;
            match self.renew() {
                Ok(()) => info!(plane.log, "callers are shown a new certificate";
                    "certificate" => self.certificate.display()),
                // One of the two files may be on its way still: the other one's stamp tells of it.
                Err(error) => {
                    warn!(plane.log, "callers are shown the certificate before still"; "error" => %error)
                }
            }
        }
    }

    fn renew(&self) -> Result<(), TlsError> {
        let new = read(&self.certificate, &self.key)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    fn stamps(&self) -> [Stamp; 2] {
        [&self.certificate, &self.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        })
    }
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
