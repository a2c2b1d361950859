//! What only a pipeline's or project's own jobs may know (contexts, variables, SSH keys), sealed before it is remembered.

use crate::{data_dir::write_private, settings::KeySource};
use protocol::PipelineId;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

/// The key's file in the data directory.
pub(crate) const FILE: &str = crate::data_dir::KEY;
const KEY_LENGTH: usize = 32;

/// Seals under one key, and opens what was sealed under it or under those before it, as long as something may be. Every
/// sealed text is bound to its pipeline: moved to another, it does not open.
pub(crate) struct Vault {
    /// The newest first: it seals.
    keys: RwLock<Vec<Key>>,
    /// Stays as it is until the next start: addresses that were signed are good as long as they say.
    signing_key: [u8; KEY_LENGTH],
    random: SystemRandom,
}

/// A key, as its file has it and as it is used.
struct Key {
    text: String,
    cipher: LessSafeKey,
}

impl Key {
    fn of(key: &[u8; KEY_LENGTH]) -> Self {
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length");
        Self { text: hex(key), cipher: LessSafeKey::new(unbound) }
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(***)")
    }
}

/// A key that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system refused.
    #[error("cannot {doing} the key `{}`: {source}", path.display())]
    System {
        /// In the imperative.
        doing: &'static str,
        /// The key's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("the key `{}` has mode {mode:03o}, so others can read it: make it private with chmod 600", path.display())]
    NotPrivate {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not open.
    #[error("`{}` is no signing key of this control plane: it was changed, or sealed under another `{FILE}`; restore both, or remove it to have another made", path.display())]
    Sealed {
        /// The key's file.
        path: PathBuf,
    },
    /// It is no key.
    #[error("`{}` is no key: {KEY_LENGTH} bytes as hexadecimal digits are wanted; restore it, for nothing sealed with it opens without", path.display())]
    Malformed {
        /// The key's file.
        path: PathBuf,
    },
}

/// A sealed text that does not open: it was changed, belongs to another pipeline or was sealed with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secrets of this pipeline cannot be opened: they were sealed with another key")]
pub(crate) struct Unreadable;

impl Vault {
    /// Takes the key from its source; a file that is not there is made.
    pub(crate) fn open(source: &KeySource, data_dir: &Path) -> Result<Self, KeyError> {
        match source {
            KeySource::Memory(key) => Ok(Self::with(&[*key])),
            KeySource::File => Ok(Self::with(&keys_of(&data_dir.join(FILE))?)),
        }
    }

    /// The newest first; there is one.
    fn with(keys: &[[u8; KEY_LENGTH]]) -> Self {
        // A key of its own for URLs, so that what one use gives away says nothing of the other.
        let label = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &keys[0]), b"signed URLs of contents");
        let signing_key = label.as_ref().try_into().expect("an HMAC-SHA256 has 32 bytes");
        let keys = RwLock::new(keys.iter().map(Key::of).collect());
        Self { keys, signing_key, random: SystemRandom::new() }
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<Key>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals with a new key from now on. The file has it, before those that it had, when this returns.
    pub(crate) fn renew(&self, data_dir: &Path) -> io::Result<()> {
        let mut bytes = [0; KEY_LENGTH];
        self.random.fill(&mut bytes).expect("the system has random bytes");
        let key = Key::of(&bytes);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let all = std::iter::once(&key).chain(keys.iter()).map(|key| key.text.as_str());
        write_private(&data_dir.join(FILE), &all.collect::<Vec<_>>().join("\n"))?;
        keys.insert(0, key);
        Ok(())
    }

    /// Whether there are keys beside the newest.
    pub(crate) fn has_old(&self) -> bool {
        self.keys().len() > 1
    }

    /// Forgets all keys but the newest: nothing is sealed with them any more.
    pub(crate) fn forget_old(&self, data_dir: &Path) -> io::Result<()> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        write_private(&data_dir.join(FILE), &keys[0].text)?;
        keys.truncate(1);
        Ok(())
    }

    /// The same text under the newest key; none: it is already, or does not open.
    pub(crate) fn resealed(&self, owner: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let is_newest = opened(&self.keys()[0], owner, sealed).is_ok();
        let text = self.unseal_for(owner, sealed).ok().filter(|_| !is_newest)?;
        Some(self.seal_for(owner, &text))
    }

    /// The key that signs URLs of contents.
    pub(crate) fn signer(&self) -> blobs::Signer {
        blobs::Signer::new(&self.signing_key)
    }

    /// What the page's cookie holds for whoever showed the operator's token: of its hash, and of no use elsewhere.
    pub(crate) fn page_session(&self, operator: &[u8]) -> String {
        self.tag(b"page session", operator)
    }

    /// What a form carries on a page that was shown to the holder of this cookie.
    pub(crate) fn form_key(&self, session: &str) -> String {
        self.tag(b"page form", session.as_bytes())
    }

    /// What an address carries that shows the artifacts of this owner until then.
    pub(crate) fn report_key(&self, owner: &str) -> String {
        self.tag(b"page report", owner.as_bytes())
    }

    /// Made of this key: nobody else can make it, and it tells nothing of what it is for.
    fn tag(&self, purpose: &[u8], of: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.signing_key);
        let tag = hmac::sign(&key, &[purpose, of].concat());
        protocol::Digest::of_bytes(tag.as_ref().try_into().expect("an HMAC-SHA256 has 32 bytes")).into()
    }

    /// The text, sealed for this pipeline.
    pub(crate) fn seal(&self, pipeline: PipelineId, text: &[u8]) -> Vec<u8> {
        self.seal_for(pipeline.0.as_bytes(), text)
    }

    /// The same for any other owner, by a name that none else has.
    pub(crate) fn seal_for(&self, owner: &[u8], text: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).expect("the system has random bytes");
        let mut sealed = text.to_vec();
        self.keys()[0]
            .cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner), &mut sealed)
            .expect("the text is shorter than the cipher's limit of 256 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// The text that was sealed for this pipeline.
    pub(crate) fn unseal(&self, pipeline: PipelineId, sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        self.unseal_for(pipeline.0.as_bytes(), sealed)
    }

    /// The text that was sealed for this owner.
    pub(crate) fn unseal_for(&self, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        self.keys().iter().find_map(|key| opened(key, owner, sealed).ok()).ok_or(Unreadable)
    }
}

fn opened(key: &Key, owner: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(Unreadable)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unreadable)?;
    let mut text = ciphertext.to_vec();
    let length = key.cipher.open_in_place(nonce, Aad::from(owner), &mut text).map_err(|_| Unreadable)?.len();
    text.truncate(length);
    Ok(text)
}

fn keys_of(path: &Path) -> Result<Vec<[u8; KEY_LENGTH]>, KeyError> {
    match fs::metadata(path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            let path = path.to_owned();
            if mode & 0o077 == 0 { read(path) } else { Err(KeyError::NotPrivate { path, mode }) }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = make(path).map(|key| vec![key]);
            made.map_err(|source| KeyError::System { doing: "make", path: path.to_owned(), source })
        }
        Err(source) => Err(KeyError::System { doing: "look at", path: path.to_owned(), source }),
    }
}

/// A line for each, the newest first; more than one as long as something may be sealed with the others.
fn read(path: PathBuf) -> Result<Vec<[u8; KEY_LENGTH]>, KeyError> {
    match fs::read_to_string(&path) {
        Ok(text) => {
            let key = |line: &str| from_hex(line.trim()).and_then(|bytes| bytes.try_into().ok());
            let keys: Option<Vec<_>> = text.trim().split('\n').map(key).collect();
            keys.ok_or(KeyError::Malformed { path })
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(KeyError::Malformed { path }),
        Err(source) => Err(KeyError::System { doing: "read", path, source }),
    }
}

fn make(path: &Path) -> io::Result<[u8; KEY_LENGTH]> {
    let mut key = [0; KEY_LENGTH];
    SystemRandom::new().fill(&mut key).expect("the system has random bytes");
    write_private(path, &hex(&key))?;
    Ok(key)
}

/// Bytes as their files have them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of such a text.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    (0..text.len().div_ceil(2)).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;
    use uuid::Uuid;

    const ONE: PipelineId = PipelineId(Uuid::from_u128(1));
    const OTHER: PipelineId = PipelineId(Uuid::from_u128(2));

    fn memory(byte: u8) -> Vault {
        Vault::open(&KeySource::Memory([byte; 32]), Path::new("/nowhere")).unwrap()
    }

    #[test]
    fn a_sealed_text_opens_for_its_own_pipeline_and_key_only() {
        let vault = memory(1);
        let sealed = vault.seal(ONE, b"TOKEN=hunter2");
        assert_eq!(vault.unseal(ONE, &sealed).unwrap(), b"TOKEN=hunter2");
        assert_eq!(vault.unseal(OTHER, &sealed), Err(Unreadable));
        assert_eq!(memory(2).unseal(ONE, &sealed), Err(Unreadable));
    }

    #[test]
    fn a_sealed_text_shows_nothing_and_never_looks_the_same() {
        let vault = memory(1);
        let sealed = vault.seal(ONE, b"hunter2");
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_ne!(sealed, vault.seal(ONE, b"hunter2"));
        assert_eq!(format!("{vault:?}"), "Vault(***)");
    }

    #[test]
    fn a_cut_or_changed_text_does_not_open() {
        let vault = memory(1);
        let sealed = vault.seal(ONE, b"hunter2");
        for cut in 0..sealed.len() {
            assert_eq!(vault.unseal(ONE, &sealed[..cut]), Err(Unreadable));
            let mut changed = sealed.clone();
            changed[cut] ^= 1;
            assert_eq!(vault.unseal(ONE, &changed), Err(Unreadable));
        }
    }

    #[test]
    fn a_key_file_is_made_private_and_found_again() {
        let folder = TempDir::new().unwrap();
        let sealed = Vault::open(&KeySource::File, folder.path()).unwrap().seal(ONE, b"x");
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Vault::open(&KeySource::File, folder.path()).unwrap();
        assert_eq!(again.unseal(ONE, &sealed).unwrap(), b"x");
    }

    #[test]
    fn a_renewed_key_opens_what_the_old_one_sealed_until_that_is_forgotten_also_after_a_start() {
        let folder = TempDir::new().unwrap();
        let vault = Vault::open(&KeySource::File, folder.path()).unwrap();
        let old = vault.seal(ONE, b"x");
        vault.renew(folder.path()).unwrap();
        let new = vault.seal(ONE, b"y");
        // As a kill in between leaves it.
        let again = Vault::open(&KeySource::File, folder.path()).unwrap();
        assert!(again.has_old() && vault.has_old());
        assert_eq!(
            (again.unseal(ONE, &old).unwrap(), again.unseal(ONE, &new).unwrap()),
            (b"x".into(), b"y".into())
        );
        assert_eq!(again.resealed(ONE.0.as_bytes(), &new), None);
        let resealed = again.resealed(ONE.0.as_bytes(), &old).unwrap();
        again.forget_old(folder.path()).unwrap();
        let last = Vault::open(&KeySource::File, folder.path()).unwrap();
        assert_eq!((last.has_old(), last.unseal(ONE, &old)), (false, Err(Unreadable)));
        assert_eq!(last.unseal(ONE, &resealed).unwrap(), b"x");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(FILE);
        Vault::open(&KeySource::File, folder.path()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Vault::open(&KeySource::File, folder.path()).unwrap_err();
        assert!(error.to_string().contains("mode 640"), "{error}");
        for text in ["", "abc", "zz", &"ab".repeat(31), &"é".repeat(32)] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = Vault::open(&KeySource::File, folder.path()).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{error}");
        }
    }
}
