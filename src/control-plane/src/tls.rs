//! TLS of the listener: with a certificate of the administrator's, or with one that the control plane makes for itself.
//!
//! What it makes lies in `<data dir>/tls`: `authority.pem`, whose key is forgotten at once, is what callers are to trust.

mod shown;

use crate::{data_dir, settings::Settings};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{ServerConfig, crypto::ring};
use shown::Shown;
use std::{
    collections::HashSet,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From files in PEM, looked at again whenever they change.
    Files {
        /// With those that vouch for it behind it.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// It is made at the first start, and anew where the names change under which the control plane is reached.
    SelfSigned,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that has none.
    #[error("{} is no {what} in PEM: {why}", path.display())]
    Unreadable {
        /// What was to be in it.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The two do not fit each other, or are of a kind that is not supported.
    #[error("the certificate {} and its key cannot be used: {why}", certificate.display())]
    Unusable {
        /// The certificate.
        certificate: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// None could be made.
    #[error("cannot make a certificate for {names}: {why}")]
    Unmade {
        /// For whom.
        names: String,
        /// What is wrong.
        why: String,
    },
    /// It could not be kept.
    #[error("cannot write to {}: {source}", path.display())]
    Unwritten {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// In the data directory, of what is made here.
pub(crate) const FOLDER: &str = "tls";
/// In it, as they are made.
pub(crate) const FILES: [&str; 4] = [AUTHORITY, CERTIFICATE, KEY, NAMES];
const AUTHORITY: &str = "authority.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
/// Written last: with it the others are whole.
const NAMES: &str = "names";

/// What the listener answers with, and whom to trust for that where it was made here.
#[derive(Debug)]
pub(crate) struct Speaking {
    pub(crate) config: ServerConfig,
    pub(crate) shown: Arc<Shown>,
    pub(crate) authority: Option<PathBuf>,
}

/// None: the listener at this address speaks no TLS.
pub(crate) fn speaking(settings: &Settings, address: SocketAddr) -> Result<Option<Speaking>, TlsError> {
    let Some(tls) = &settings.tls else { return Ok(None) };
    let names = names(address, settings.public_url.as_deref());
    config(tls, &settings.data_dir, &names).map(Some)
}

/// Under which the control plane is reached, each once.
fn names(address: SocketAddr, public_url: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.push(rustix::system::uname().nodename().to_string_lossy().into_owned());
    names.extend((!address.ip().is_unspecified()).then(|| address.ip().to_string()));
    names.extend(public_url.and_then(host).map(str::to_owned));
    let mut seen = HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// Of an address, without its port.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    match host.strip_prefix('[') {
        Some(six) => six.split(']').next(),
        None => host.split(':').next(),
    }
}

fn config(tls: &Tls, data_dir: &Path, names: &[String]) -> Result<Speaking, TlsError> {
    match tls {
        Tls::Files { certificate, key } => shown(certificate, key, None),
        Tls::SelfSigned => {
            let directory = data_dir.join(FOLDER);
            let [authority, certificate, key] =
                [AUTHORITY, CERTIFICATE, KEY].map(|name| directory.join(name));
            let wanted = names.join("\n");
            let made = fs::read_to_string(directory.join(NAMES)).unwrap_or_default();
            if made.trim_end() != wanted {
                make(&directory, names)?;
            }
            shown(&certificate, &key, Some(authority))
        }
    }
}

/// What the listener answers with, and where that comes from.
fn shown(certificate: &Path, key: &Path, authority: Option<PathBuf>) -> Result<Speaking, TlsError> {
    let shown = Shown::read(certificate, key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth().with_cert_resolver(shown.clone()));
    let unusable =
        |why: rustls::Error| TlsError::Unusable { certificate: certificate.to_owned(), why: why.to_string() };
    Ok(Speaking { config: config.map_err(unusable)?, shown, authority })
}

fn make(directory: &Path, names: &[String]) -> Result<(), TlsError> {
    let made = signed(names)
        .map_err(|error| TlsError::Unmade { names: names.join(", "), why: error.to_string() })?;
    let unwritten = |source| TlsError::Unwritten { path: directory.to_owned(), source };
    data_dir::make(directory).map_err(unwritten)?;
    forget_names(directory).map_err(unwritten)?;
    let texts = [(AUTHORITY, &made.authority), (CERTIFICATE, &made.certificate), (KEY, &made.key)];
    for (name, text) in texts.into_iter().chain([(NAMES, &names.join("\n"))]) {
        data_dir::write_private(&directory.join(name), text.trim_end()).map_err(unwritten)?;
    }
    Ok(())
}

/// Until the others are whole again there are no names: those before may be wanted next.
fn forget_names(directory: &Path) -> io::Result<()> {
    match fs::remove_file(directory.join(NAMES)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => data_dir::sync(directory),
    }
}

/// Each as PEM.
struct Made {
    authority: String,
    certificate: String,
    key: String,
}

fn signed(names: &[String]) -> Result<Made, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "Roundhouse, for its control plane");
    let root = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "Roundhouse");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &issuer)?.pem();
    Ok(Made { authority: root, certificate, key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_is_for_every_name_by_which_the_control_plane_is_reached_each_once() {
        let names = names(([10, 0, 0, 7], 8811).into(), Some("https://ci.example:8443/under"));
        assert!(names.ends_with(&texts(&["10.0.0.7", "ci.example"])), "{names:?}");
        assert_eq!(host("https://[fd00::1]:8443"), Some("fd00::1"));
        assert_eq!(super::names(([0, 0, 0, 0], 1).into(), Some("http://localhost")).len(), 4);
    }

    #[test]
    fn one_that_was_made_stays_as_long_as_the_names_do() {
        let folder = tempfile::tempdir().unwrap();
        let authority = |wanted: &[&str]| {
            let made = config(&Tls::SelfSigned, folder.path(), &texts(wanted)).unwrap();
            fs::read_to_string(made.authority.unwrap()).unwrap()
        };
        let first = authority(&["localhost", "127.0.0.1"]);
        assert_eq!(authority(&["localhost", "127.0.0.1"]), first);
        assert_ne!(authority(&["localhost", "ci.example"]), first);
    }

    #[test]
    fn one_that_was_written_by_half_is_made_anew_also_for_the_names_before() {
        let folder = tempfile::tempdir().unwrap();
        let speaking = |wanted: &[&str]| config(&Tls::SelfSigned, folder.path(), &texts(wanted));
        speaking(&["localhost"]).unwrap();
        // Nothing can be written beside the key, when the certificate is another one already.
        let draft = folder.path().join("tls/key.pem.new");
        fs::create_dir(&draft).unwrap();
        let error = speaking(&["ci.example"]).unwrap_err();
        assert!(matches!(error, TlsError::Unwritten { .. }), "{error}");
        fs::remove_dir(draft).unwrap();
        speaking(&["localhost"]).unwrap();
    }

    #[test]
    fn what_is_no_certificate_or_not_of_its_key_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (signed(&texts(&["a"])).unwrap(), signed(&texts(&["a"])).unwrap());
        let file = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let refused = |certificate: &str, key: &str| {
            let tls = Tls::Files { certificate: file("c.pem", certificate), key: file("k.pem", key) };
            config(&tls, folder.path(), &[]).unwrap_err().to_string()
        };
        assert!(refused("", &one.key).contains("c.pem is no certificate in PEM"));
        assert!(refused(&one.certificate, "x").contains("k.pem is no private key in PEM"));
        assert!(refused(&one.certificate, &other.key).contains("cannot be used"));
    }
}
