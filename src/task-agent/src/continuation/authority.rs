//! An authority that signs one certificate and is forgotten: its key never leaves this function.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{error::Error, sync::Arc};

/// Who answers, and whom to trust for that.
pub(super) struct Identity {
    pub(super) tls: Arc<ServerConfig>,
    /// The authority's certificate, as PEM.
    pub(super) authority: String,
}

/// Makes one for these names and addresses.
pub(super) fn make(names: &[&str]) -> Result<Identity, Box<dyn Error + Send + Sync>> {
    let (issuer, root) = authority()?;
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    leaf.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or_default());
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let chain = vec![leaf.signed_by(&key, &issuer)?.der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Identity { tls: Arc::new(tls), authority: root })
}

fn authority() -> Result<(Issuer<'static, KeyPair>, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "Roundhouse, for one task");
    let root = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), root))
}
