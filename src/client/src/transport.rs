//! What every connection to one control plane shares: its address, trusted roots and proxies.

use crate::{
    operator::Operator,
    proxy::{Proxies, Proxy},
    registry::Registry,
    runner::Runner,
    task::TaskClient,
    trust,
    tunnel::Tunnel,
};
use awc::http::Uri;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem, pem::PemObject},
};
use std::{
    cell::RefCell,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

/// Where the control plane is and how to reach it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http://` or `https://`, host, port, and a path if it has one.
    pub url: String,
    /// Certificates in PEM to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// [`Proxies::from_environment`], or none.
    pub proxies: Proxies,
    /// For how long a call is tried again before its error is told.
    pub patience: Duration,
}

impl Settings {
    /// The control plane at this address, the system's roots, no proxy, patience of a minute.
    pub fn new(url: impl Into<String>) -> Self {
        let (ca_file, proxies) = (None, Proxies::default());
        Self { url: url.into(), ca_file, proxies, patience: Duration::from_secs(60) }
    }
}

/// Settings that reach no control plane.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address is none.
    #[error("`{0}` is no address of a control plane: write http://host:port or https://host")]
    Url(String),
    /// The file of certificates cannot be read.
    #[error("cannot read certificates from {}: {source}", path.display())]
    CaFile {
        /// As configured.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The file has none, or one that is broken.
    #[error("{} holds no usable certificate: PEM text with BEGIN CERTIFICATE lines is wanted", .0.display())]
    NoCertificate(PathBuf),
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A way to one control plane; clone it into every thread that speaks to it.
#[derive(Clone, Debug)]
pub struct Transport {
    shared: Arc<Shared>,
}

thread_local! {
    /// Of this thread, each with the way it belongs to. They are of one runtime: a thread that has tasks has no other.
    static KEPT: RefCell<Vec<(Weak<Shared>, awc::Client)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Shared {
    base: String,
    tls: Arc<ClientConfig>,
    proxies: Proxies,
    patience: Duration,
}

impl Transport {
    /// Checks the settings and reads the certificates; connects to nothing yet.
    pub fn new(settings: Settings) -> Result<Self, TransportError> {
        let base = checked_base(&settings.url)?;
        let tls = Arc::new(tls(roots(settings.ca_file)?)?);
        let (proxies, patience) = (settings.proxies, settings.patience);
        Ok(Self { shared: Arc::new(Shared { base, tls, proxies, patience }) })
    }

    /// A way to any address that is named whole.
    pub(crate) fn to_anywhere(proxies: Proxies) -> Result<Self, TransportError> {
        Ok(Self::anywhere(proxies, tls(roots(None)?)?))
    }

    /// The same to whoever answers there, whatever certificate they show.
    pub(crate) fn to_anybody(proxies: Proxies) -> Result<Self, TransportError> {
        Ok(Self::anywhere(proxies, trust::tls_to_anybody()?))
    }

    fn anywhere(proxies: Proxies, tls: ClientConfig) -> Self {
        let (base, tls, patience) = (String::new(), Arc::new(tls), Duration::ZERO);
        Self { shared: Arc::new(Shared { base, tls, proxies, patience }) }
    }

    /// The address of the control plane, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.shared.base
    }

    /// Speaks with a resource class token.
    pub fn runner(&self, token: &str) -> Runner {
        Runner::new(self.link(), token)
    }

    /// Speaks with a task token, over the connections that all tasks of this thread have one after the other.
    pub fn task(&self, token: &str) -> TaskClient {
        TaskClient::new(self.kept_link(), token)
    }

    /// Speaks with an operator's token.
    pub fn operator(&self, token: &str) -> Operator {
        Operator::new(self.link(), token)
    }

    /// Asks a public registry of orbs at this address.
    pub fn registry(&self) -> Registry {
        Registry::new(self.link())
    }

    pub(crate) fn kept_link(&self) -> Link {
        Link { http: self.kept_connections(), transport: self.clone() }
    }

    fn link(&self) -> Link {
        Link { http: self.connections(), transport: self.clone() }
    }

    fn kept_connections(&self) -> awc::Client {
        KEPT.with_borrow_mut(|kept| {
            kept.retain(|(of, _)| of.strong_count() > 0);
            let own = kept.iter().find(|(of, _)| of.as_ptr() == Arc::as_ptr(&self.shared));
            if let Some((_, connections)) = own {
                return connections.clone();
            }
            let connections = self.connections();
            kept.push((Arc::downgrade(&self.shared), connections.clone()));
            connections
        })
    }

    fn connections(&self) -> awc::Client {
        let connector = awc::Connector::new()
            .connector(Tunnel::new(self.shared.proxies.clone()))
            .rustls_0_23(self.shared.tls.clone())
            .limit(0);
        awc::Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .add_default_header(("User-Agent", concat!("roundhouse/", env!("CARGO_PKG_VERSION"))))
            .finish()
    }
}

/// The connections of one thread to the control plane.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) http: awc::Client,
    transport: Transport,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("url", &self.transport.url()).finish_non_exhaustive()
    }
}

impl Link {
    /// The whole address of a path of the API, or of a signed URL, which may be either.
    pub(crate) fn resolve(&self, path_or_url: &str) -> String {
        let absolute = ["http://", "https://"].iter().any(|scheme| path_or_url.starts_with(scheme));
        if absolute { path_or_url.to_owned() } else { format!("{}{path_or_url}", self.transport.url()) }
    }

    /// The proxy that takes a plain request to this address in absolute form.
    pub(crate) fn plain_proxy(&self, uri: &Uri) -> Option<&Proxy> {
        if uri.scheme_str() == Some("http") { self.transport.shared.proxies.of(uri) } else { None }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.transport.shared.patience
    }
}

fn checked_base(url: &str) -> Result<String, TransportError> {
    let wrong = || TransportError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let speaks =
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|h| !h.is_empty());
    if speaks && uri.query().is_none() { Ok(url.trim_end_matches('/').to_owned()) } else { Err(wrong()) }
}

/// The system's roots, and those of the file. A broken certificate of the system is passed over: it is not ours to mend.
fn roots(ca_file: Option<PathBuf>) -> Result<RootCertStore, TransportError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let Some(path) = ca_file else { return Ok(roots) };
    let unreadable = |source| TransportError::CaFile { path: path.clone(), source };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(&path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    let (added, broken) = roots.add_parsable_certificates(certificates);
    if added == 0 || broken > 0 { Err(TransportError::NoCertificate(path)) } else { Ok(roots) }
}

fn tls(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
