//! The text of a private key: which key it is, and a new one.
//!
//! The public half stands in the open in both forms that are read, so no mathematics is done here.

use crate::api::base64 as lenient;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use md5::{Digest, Md5};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair},
};

/// The longest text that is read.
const MOST: usize = 64 * 1024;
const OPENSSH: (&str, &str) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
const RSA: (&str, &str) = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----");
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// A text that is no key for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    /// Nobody is there to type it.
    #[error(
        "the key has a passphrase, which no job could type: remove it with `ssh-keygen -p -N '' -f FILE`"
    )]
    Passphrase,
    /// Another form.
    #[error("no private key of OpenSSH: `ssh-keygen -p -N '' -f FILE` writes other forms in its own")]
    Form,
    /// The form is right and what is in it is not.
    #[error("the private key is cut off or changed")]
    Broken,
}

/// A private key and its public half as SSH sends it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    pub(super) private_key: String,
    blob: Vec<u8>,
}

impl Material {
    /// The key of this text.
    pub(super) fn read(text: &str) -> Result<Self, KeyProblem> {
        if text.len() > MOST {
            return Err(KeyProblem::Form);
        }
        let text = text.replace("\r\n", "\n");
        let text = text.trim();
        let blob = match (between(text, OPENSSH), between(text, RSA)) {
            (Some(body), _) => of_openssh(&bytes(body)?)?,
            (None, Some(body)) if body.contains("ENCRYPTED") => return Err(KeyProblem::Passphrase),
            (None, Some(body)) => of_rsa(&bytes(body)?).ok_or(KeyProblem::Broken)?,
            (None, None) => return Err(KeyProblem::Form),
        };
        Ok(Self { private_key: format!("{text}\n"), blob })
    }

    /// A new Ed25519 key.
    pub(super) fn make() -> Self {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).expect("the system has random bytes");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
        let public = pair.public_key().as_ref();
        let blob = [string(b"ssh-ed25519"), string(public)].concat();
        let mut secret = [[0x5a; 8].to_vec(), blob.clone()].concat();
        secret.extend(string(&[seed.as_slice(), public].concat()));
        secret.extend(string(b"roundhouse"));
        secret.extend((1..).take(secret.len().next_multiple_of(8) - secret.len()));
        let head = [MAGIC, &string(b"none"), &string(b"none"), &string(b""), &1_u32.to_be_bytes()].concat();
        let whole = BASE64_STANDARD.encode([head, string(&blob), string(&secret)].concat());
        let lines: Vec<_> = whole.as_bytes().chunks(70).map(String::from_utf8_lossy).collect();
        Self { private_key: format!("{}\n{}\n{}\n", OPENSSH.0, lines.join("\n"), OPENSSH.1), blob }
    }

    /// MD5, as CircleCI names keys.
    pub(super) fn fingerprint(&self) -> String {
        let pairs: Vec<_> = Md5::digest(&self.blob).iter().map(|byte| format!("{byte:02x}")).collect();
        pairs.join(":")
    }

    pub(super) fn sha256(&self) -> String {
        format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest(&SHA256, &self.blob)))
    }

    /// As in `authorized_keys`.
    pub(super) fn public_key(&self) -> String {
        let name = Reader(&self.blob).string().unwrap_or_default();
        format!("{} {}", String::from_utf8_lossy(name), BASE64_STANDARD.encode(&self.blob))
    }
}

fn between<'t>(text: &'t str, (begin, end): (&str, &str)) -> Option<&'t str> {
    text.strip_prefix(begin)?.strip_suffix(end)
}

fn bytes(body: &str) -> Result<Vec<u8>, KeyProblem> {
    let text: String = body.split_whitespace().collect();
    lenient::decode(&text).ok_or(KeyProblem::Broken)
}

/// A string of SSH: its length, then its bytes.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("keys are short");
    [&length.to_be_bytes(), bytes].concat()
}

fn of_openssh(bytes: &[u8]) -> Result<Vec<u8>, KeyProblem> {
    let mut rest = Reader(bytes.strip_prefix(MAGIC).ok_or(KeyProblem::Broken)?);
    let cipher = rest.string().ok_or(KeyProblem::Broken)?;
    if cipher != b"none" {
        return Err(KeyProblem::Passphrase);
    }
    let blob = (|| {
        rest.string()?;
        rest.string()?;
        let number = rest.take(4)?;
        let blob = rest.string()?;
        let secret = rest.string()?;
        let is_one = number == 1_u32.to_be_bytes() && !secret.is_empty();
        is_one.then(|| blob.to_vec()).filter(|blob| Reader(blob).string().is_some())
    })();
    blob.ok_or(KeyProblem::Broken)
}

/// PKCS #1: a sequence of integers, of which the second is the modulus and the third the public exponent.
fn of_rsa(bytes: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let mut integers = Reader(Reader(bytes).element(SEQUENCE)?);
    let (_, modulus, exponent) =
        (integers.element(INTEGER)?, integers.element(INTEGER)?, integers.element(INTEGER)?);
    // The private ones have to be there too.
    integers.element(INTEGER)?;
    Some([string(b"ssh-rsa"), string(exponent), string(modulus)].concat())
}

/// Reads from the front.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'b [u8]> {
        let length = self.take(4)?.try_into().ok().map(u32::from_be_bytes)?;
        self.take(length as usize)
    }

    /// An element of DER with this tag.
    fn element(&mut self, tag: u8) -> Option<&'b [u8]> {
        if self.take(1)? != [tag] {
            return None;
        }
        let length = match usize::from(self.take(1)?[0]) {
            long @ 0x81..=0x84 => {
                self.take(long - 0x80)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
            }
            short @ 0..=0x7f => short,
            _ => return None,
        };
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

    /// What ssh-keygen says of a key: its fingerprints and its public half. None where there is no ssh-keygen.
    fn said(path: &Path, arguments: &[&str]) -> Option<String> {
        let output = Command::new("ssh-keygen").args(arguments).arg("-f").arg(path).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    }

    fn agrees_with_ssh_keygen(path: &Path, material: &Material) {
        let Some(md5) = said(path, &["-l", "-E", "md5"]) else { return };
        assert!(md5.contains(&format!("MD5:{} ", material.fingerprint())), "{md5}");
        assert!(said(path, &["-l"]).unwrap().contains(&material.sha256()));
        assert!(said(path, &["-y"]).unwrap().starts_with(&material.public_key()));
    }

    #[test]
    fn a_new_key_is_one_that_openssh_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (made, path) = (Material::make(), folder.path().join("key"));
        fs::write(&path, &made.private_key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        agrees_with_ssh_keygen(&path, &made);
        assert!(Material::read(&made.private_key).unwrap() == made);
        assert!(Material::make() != made);
    }

    #[test]
    fn keys_of_openssh_are_known_by_their_fingerprints() {
        let folder = tempfile::tempdir().unwrap();
        let kinds: [&[&str]; 4] = [
            &["-t", "rsa", "-b", "2048"],
            &["-t", "rsa", "-b", "2048", "-m", "PEM"],
            &["-t", "ecdsa"],
            &["-t", "ed25519"],
        ];
        for (number, kind) in kinds.into_iter().enumerate() {
            let path = folder.path().join(number.to_string());
            let arguments = [kind, &["-q", "-N", ""]].concat();
            if said(&path, &arguments).is_none() {
                return;
            }
            let text = fs::read_to_string(&path).unwrap();
            agrees_with_ssh_keygen(&path, &Material::read(&text).unwrap());
            agrees_with_ssh_keygen(&path, &Material::read(&text.replace('\n', "\r\n")).unwrap());
            let cut = text.len() / 2;
            assert!(Material::read(&text[..cut]).is_err());
        }
    }

    #[test]
    fn a_key_with_a_passphrase_and_what_is_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        if said(&path, &["-t", "ed25519", "-q", "-N", "hush hush"]).is_some() {
            let refused = Material::read(&fs::read_to_string(&path).unwrap()).err();
            assert_eq!(refused, Some(KeyProblem::Passphrase));
        }
        assert_eq!(Material::read("ssh-ed25519 AAAA").err(), Some(KeyProblem::Form));
        let hollow = format!("{}\nAAAA\n{}", OPENSSH.0, OPENSSH.1);
        assert_eq!(Material::read(&hollow).err(), Some(KeyProblem::Broken));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_key_or_a_problem(bytes: Vec<u8>) {
            let body = BASE64_STANDARD.encode([MAGIC, &bytes].concat());
            for (begin, end) in [OPENSSH, RSA] {
                let _ = Material::read(&format!("{begin}\n{body}\n{end}"));
            }
            let _ = of_rsa(&bytes);
        }
    }
}
