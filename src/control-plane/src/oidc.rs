//! Tokens by which a job proves to others which job it is: signed here, and checked by anybody against the public key that
//! the well-known addresses tell.
//!
//! The key is made at the first start and lies sealed in the data directory. A control plane that keeps its key in memory,
//! that of a local run, issues none: nobody could check them.

use crate::{
    data_dir::write_private,
    secrets::{KeyError, Vault, from_hex, hex},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Map, Value, json};
use std::{fs, io, path::Path};

/// The sealed key's file in the data directory.
pub(crate) const FILE: &str = "oidc.key";
/// What its seal is bound to.
const SEAL: &[u8] = b"key of identity tokens";
/// Where the public keys are, below the issuer's address.
const KEYS: &str = "/.well-known/jwks.json";
/// How long a token is good, in seconds: as CircleCI's.
const GOOD_FOR: i64 = 60 * 60;
const ALGORITHM: &str = "ES256";
/// The bytes of one coordinate of the public key.
const COORDINATE: usize = 32;

/// Issues tokens under one address and one key.
pub(crate) struct Issuer {
    address: String,
    key: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer")
            .field("address", &self.address)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Seals the key's file with the newest key of the vault, where it is there and is not yet.
pub(crate) fn reseal(vault: &Vault, data_dir: &Path) -> io::Result<()> {
    let path = data_dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let resealed = from_hex(text.trim()).and_then(|sealed| vault.resealed(SEAL, &sealed));
    resealed.map_or(Ok(()), |sealed| write_private(&path, &hex(&sealed)))
}

impl Issuer {
    /// With the key of the data directory, which is made if it is not there.
    pub(crate) fn open(vault: &Vault, data_dir: &Path, address: String) -> Result<Self, KeyError> {
        let path = data_dir.join(FILE);
        let system = |doing| {
            let path = path.clone();
            move |source| KeyError::System { doing, path, source }
        };
        let random = SystemRandom::new();
        let sealed = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                let key = key.expect("the system has random bytes");
                let sealed = hex(&vault.seal_for(SEAL, key.as_ref()));
                write_private(&path, &sealed).map_err(system("make"))?;
                sealed
            }
            Err(error) => return Err(system("read")(error)),
        };
        let bytes = from_hex(sealed.trim()).and_then(|sealed| vault.unseal_for(SEAL, &sealed).ok());
        let key = bytes.and_then(|bytes| {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes, &random).ok()
        });
        let key = key.ok_or(KeyError::Sealed { path })?;
        let key_id = encoded(digest(&SHA256, key.public_key().as_ref()).as_ref());
        Ok(Self { address, key, key_id, random })
    }

    /// A token with these claims, under this issuer's name and from now on for an hour.
    pub(crate) fn token(&self, mut claims: Map<String, Value>, now_ms: i64) -> String {
        let now = now_ms / 1000;
        for (name, value) in
            [("iss", json!(self.address)), ("iat", json!(now)), ("exp", json!(now + GOOD_FOR))]
        {
            claims.insert(name.to_owned(), value);
        }
        let header = json!({"alg": ALGORITHM, "kid": self.key_id, "typ": "JWT"});
        let part = |value: &Value| encoded(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(&Value::Object(claims)));
        let signature = self.key.sign(&self.random, signed.as_bytes()).expect("the system has random bytes");
        format!("{signed}.{}", encoded(signature.as_ref()))
    }

    /// What whoever checks tokens reads first.
    pub(crate) fn discovery(&self) -> Value {
        json!({
            "issuer": self.address,
            "jwks_uri": format!("{}{KEYS}", self.address),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "scopes_supported": ["openid"],
            "claims_supported": ["iss", "sub", "aud", "iat", "exp"],
        })
    }

    /// The public key.
    pub(crate) fn keys(&self) -> Value {
        // A point as it is written out: one byte that says so, and its two coordinates.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(COORDINATE);
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": self.key_id,
            "x": encoded(x), "y": encoded(y),
        }]})
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::KeySource;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    fn issuer(folder: &Path, byte: u8) -> Result<Issuer, KeyError> {
        let vault = Vault::open(&KeySource::Memory([byte; 32]), folder).unwrap();
        Issuer::open(&vault, folder, "https://ci.example".to_owned())
    }

    fn decoded(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn a_token_is_checked_with_what_is_published_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = issuer(folder.path(), 1).unwrap();
        let claims =
            Map::from_iter([("sub".to_owned(), json!("org/1")), ("iss".to_owned(), json!("https://evil"))]);
        let token = issuer.token(claims, 5_000);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let published = issuer.keys();
        let coordinate = |name: &str| decoded(published["keys"][0][name].as_str().unwrap());
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point);
        key.verify(signed.as_bytes(), &decoded(signature)).unwrap();
        assert!(key.verify(format!("{signed}x").as_bytes(), &decoded(signature)).is_err());
        let part =
            |at: usize| serde_json::from_slice::<Value>(&decoded(token.split('.').nth(at).unwrap())).unwrap();
        assert_eq!(part(0)["kid"], published["keys"][0]["kid"]);
        assert_eq!(part(1), json!({"sub": "org/1", "iss": "https://ci.example", "iat": 5, "exp": 3605}));
        assert_eq!(issuer.discovery()["jwks_uri"], "https://ci.example/.well-known/jwks.json");
    }

    #[test]
    fn the_key_is_found_again_sealed_and_opens_with_its_own_secret_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let first = issuer(folder.path(), 1).unwrap();
        assert_eq!(issuer(folder.path(), 1).unwrap().key_id, first.key_id);
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(issuer(folder.path(), 2), Err(KeyError::Sealed { .. })));
        fs::write(&path, "no key").unwrap();
        let error = issuer(folder.path(), 1).unwrap_err().to_string();
        assert!(error.contains("oidc.key") && !format!("{first:?}").contains("pkcs"), "{error}");
    }
}
