//! A repository that jobs check out: its address, how much of it is fetched, and the keys and logins that open it.

mod login;

pub use login::Login;
use serde::{Deserialize, Serialize};

/// How much of a repository a checkout fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All commits, and of the files only those that are checked out; others come when they are asked for.
    #[default]
    Blobless,
    /// Everything.
    Full,
    /// The last commits.
    Shallow {
        /// How many.
        depth: u32,
    },
}

impl Method {
    /// Whether it is what a checkout does that says nothing.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// The protocols that a repository may be fetched over, as `GIT_ALLOW_PROTOCOL` has them.
pub const PROTOCOLS: &str = "file:git:http:https:ssh";

/// Keys of the hosts that everybody uses, as these publish them: lines of `known_hosts`.
pub const KNOWN_HOSTS: &str = include_str!("repository/known_hosts");

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `ssh://host/path` or `user@host:path`.
    Ssh,
    /// `https://` and `http://`.
    Http,
    /// `git://`.
    Git,
    /// A path of the host that fetches it.
    File,
}

/// An address that no checkout uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no address of a repository that is checked out here: {why}")]
pub struct BadAddress {
    /// Without what may be a password.
    url: String,
    why: &'static str,
}

/// How the repository of this address is reached. One that git would take for an option, or for the name of a program
/// to run, is refused.
pub fn transport(url: &str) -> Result<Transport, BadAddress> {
    let bad = |why| Err(BadAddress { url: without_password(url), why });
    if url.is_empty() || url.starts_with('-') || url.chars().any(char::is_control) {
        return bad("it is empty, begins with `-` or has control characters in it");
    }
    let (transport, host) = match url.split_once("://") {
        Some(("ssh" | "git+ssh" | "ssh+git", rest)) => (Transport::Ssh, rest),
        Some(("https" | "http", rest)) => (Transport::Http, rest),
        Some(("git", rest)) => (Transport::Git, rest),
        Some(("file", _)) => return Ok(Transport::File),
        Some(_) => return bad("its protocol is none of ssh, https, http, git and file"),
        None => match url.split_once(':') {
            Some((_, rest)) if rest.starts_with(':') => return bad("`::` names a program to run"),
            Some((host, _)) if !host.contains('/') => (Transport::Ssh, host),
            _ => return Ok(Transport::File),
        },
    };
    let authority = host.split('/').next().unwrap_or_default();
    let name = authority.rsplit_once('@').map_or(authority, |(_, name)| name);
    if name.is_empty() || name.starts_with('-') || authority.starts_with('-') {
        return bad("it names no host");
    }
    Ok(transport)
}

/// Where a repository lies on its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Host, and port where it is reached over http.
    pub host: String,
    /// `acme/app`.
    pub path: String,
    /// Whether it is reached over http without encryption.
    pub is_plain: bool,
}

/// Where the repository of this address lies on its provider; none: the address names no host.
pub fn place(url: &str) -> Option<Place> {
    let transport = transport(url).ok()?;
    let (authority, path) = match (transport, url.split_once("://")) {
        (Transport::File | Transport::Git, _) => return None,
        (_, Some((_, rest))) => rest.split_once('/')?,
        (_, None) => url.split_once(':')?,
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // The port of ssh says nothing of the API.
    let host = match transport {
        Transport::Ssh if !host.ends_with(']') => host.rsplit_once(':').map_or(host, |(host, _)| host),
        _ => host,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let (host, path) = (host.to_owned(), path.to_owned());
    (!path.is_empty()).then(|| Place { host, path, is_plain: url.starts_with("http://") })
}

/// The address as logs may show it.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => url.to_owned(),
    }
}

/// Whether it is the full id of a commit, of SHA-1 or SHA-256.
pub fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether git takes it as the name of a branch or tag, wherever it stands in a command.
pub fn is_reference(name: &str) -> bool {
    const FORBIDDEN: &str = " ~^:?*[\\";
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let is_allowed = |c: char| !c.is_control() && !FORBIDDEN.contains(c);
    name.chars().all(is_allowed)
        && name.split('/').all(is_part)
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && name != "@"
}

/// The reference that has the commits of a branch. `pull/7` and `merge-requests/7` are the heads of those.
pub fn reference_of(branch: &str) -> String {
    let number = |prefix: &str| {
        let number = branch.strip_prefix(prefix)?.trim_end_matches("/head");
        (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
    };
    match (number("pull/"), number("merge-requests/")) {
        (Some(number), _) => format!("refs/pull/{number}/head"),
        (_, Some(number)) => format!("refs/merge-requests/{number}/head"),
        _ => format!("refs/heads/{branch}"),
    }
}

/// What a task has for SSH.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssh {
    /// With which `checkout` fetches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<SshKey>,
    /// For `add_ssh_keys`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<SshKey>,
    /// Lines of `known_hosts` beside those that every task-agent has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub known_hosts: String,
}

impl Ssh {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A private key and what it is for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshKey {
    /// MD5 of its public half: pairs of hexadecimal digits with colons between.
    pub fingerprint: String,
    /// The other one in use: `SHA256:` and base64.
    pub sha256: String,
    /// Where it is used; none: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// As ssh reads it.
    pub private_key: String,
}

impl SshKey {
    /// Whether a configuration that writes this fingerprint means this key.
    pub fn is_called(&self, written: &str) -> bool {
        let md5 = written.strip_prefix("MD5:").unwrap_or(written);
        md5.eq_ignore_ascii_case(&self.fingerprint) || written.trim_end_matches('=') == self.sha256
    }
}

/// Without what nobody else may know.
impl std::fmt::Debug for SshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshKey")
            .field("fingerprint", &self.fingerprint)
            .field("hostname", &self.hostname)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_its_repository_is_reached() {
        for (url, expected) in [
            ("git@github.com:acme/app.git", Transport::Ssh),
            ("host:path", Transport::Ssh),
            ("ssh://git@[::1]:2222/acme/app", Transport::Ssh),
            ("https://user:pw@example.org/app", Transport::Http),
            ("http://127.0.0.1:80/app", Transport::Http),
            ("git://example.org/app", Transport::Git),
            ("/srv/git/app", Transport::File),
            ("./odd:name", Transport::File),
            ("file:///srv/git/app", Transport::File),
        ] {
            assert_eq!(transport(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn an_address_that_would_run_something_is_refused() {
        for url in [
            "",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c id",
            "fd::7",
            "gopher://example.org/app",
            "ssh://-oProxyCommand=id/app",
            "ssh://git@-oProxyCommand=id/app",
            "-oProxyCommand=id:app",
            "git@:app",
            "https:///app",
            "host:a\nb",
        ] {
            assert!(transport(url).is_err(), "{url}");
        }
        let told = transport("gopher://user:hunter2@example.org/app").unwrap_err().to_string();
        assert!(told.starts_with("`gopher://example.org/app` is no address"), "{told}");
    }

    #[test]
    fn an_address_says_where_its_repository_lies_on_its_provider() {
        for (url, host, path) in [
            ("git@github.com:acme/app.git", "github.com", "acme/app"),
            ("ssh://git@gitlab.example:2222/acme/deep/app", "gitlab.example", "acme/deep/app"),
            ("ssh://git@[::1]/acme/app", "[::1]", "acme/app"),
            ("https://git.example:8443/acme/app.git/", "git.example:8443", "acme/app"),
            ("http://127.0.0.1:80/acme/app.git", "127.0.0.1:80", "acme/app"),
        ] {
            let is_plain = url.starts_with("http:");
            let expected = Place { host: host.to_owned(), path: path.to_owned(), is_plain };
            assert_eq!(place(url), Some(expected), "{url}");
        }
        for url in ["/srv/app", "file:///srv/app", "git://example.org/app", "https://example.org", "ext::id"]
        {
            assert_eq!(place(url), None, "{url}");
        }
    }

    #[test]
    fn names_of_branches_are_those_of_git() {
        for name in ["main", "feature/x", "pull/12", "dependabot/npm_and_yarn/a-1.2", "ü"] {
            assert!(is_reference(name), "{name}");
        }
        for name in
            ["", "-f", "a..b", "a b", "a:b", ".a", "a/.b", "a/", "a.lock", "a@{1}", "@", "a.", "a\n", "*"]
        {
            assert!(!is_reference(name), "{name}");
        }
        assert!(is_commit(&"a1".repeat(20)) && is_commit(&"0".repeat(64)));
        assert!(!is_commit("main") && !is_commit(&"g".repeat(40)));
    }

    #[test]
    fn pull_requests_are_found_under_their_numbers() {
        for (branch, reference) in [
            ("main", "refs/heads/main"),
            ("pull/7", "refs/pull/7/head"),
            ("pull/7/head", "refs/pull/7/head"),
            ("merge-requests/12", "refs/merge-requests/12/head"),
            ("pull/x", "refs/heads/pull/x"),
            ("merge-requests/", "refs/heads/merge-requests/"),
        ] {
            assert_eq!(reference_of(branch), reference);
        }
    }

    #[test]
    fn a_key_is_called_by_either_fingerprint() {
        let key = SshKey {
            fingerprint: "b7:35:a6".to_owned(),
            sha256: "SHA256:abc".to_owned(),
            hostname: None,
            private_key: "hush".to_owned(),
        };
        assert!(
            ["b7:35:a6", "B7:35:A6", "MD5:b7:35:a6", "SHA256:abc", "SHA256:abc="]
                .iter()
                .all(|it| key.is_called(it))
        );
        assert!(!key.is_called("SHA256:ABC") && !key.is_called(""));
        assert!(!format!("{key:?}").contains("hush"));
    }
}
