//! The configuration at an exact revision, by a git that runs nothing of the repository's and knows nothing but its key or token.

use super::event::Event;
use crate::{data_dir, logins, plane::Plane, refusal::Refusal};
use base64::{Engine, engine::general_purpose::STANDARD};
use protocol::{
    api::CommitValues,
    repository::{self, KNOWN_HOSTS, SshKey, Transport},
};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use store::RepositoryRow;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

/// How long all of a fetch may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many fetches at once; others wait for them.
const AT_ONCE: usize = 4;
/// The longest configuration.
const LONGEST: u64 = 4 * 1024 * 1024;
/// So much of what git complains of is kept.
const COMPLAINT: u64 = 8 * 1024;
/// No file of a fetch is larger, in blocks of 512 bytes: 1 GiB.
const LIMITED: &str = "ulimit -f 2097152 && exec git \"$@\"";
/// What a repository or its server may not have git do.
const SETTINGS: [&str; 18] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "credential.helper=",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    // A key or an address is for the host that was named.
    "http.followRedirects=false",
    "-c",
    "transfer.bundleURI=false",
    "-c",
    "fetch.unpackLimit=1",
    "--git-dir",
    "repository",
];
/// What of this process's own variables git has.
const KEPT: [&str; 11] = [
    "PATH",
    "TMPDIR",
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];
/// Its home is the scratch directory, which has the key and the hosts.
const SSH: &str = "ssh -F /dev/null -i \"$HOME/key\" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
                   -o StrictHostKeyChecking=yes -o ConnectTimeout=20 \
                   -o \"UserKnownHostsFile=\\\"$HOME/known_hosts\\\"\"";

/// Where configurations are fetched, and over what.
#[derive(Debug)]
pub(crate) struct Fetches {
    directory: PathBuf,
    /// Over http as well, and from paths of this host.
    insecure: bool,
    room: Semaphore,
}

/// What was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) config: String,
    pub(crate) commit: CommitValues,
}

/// Where a branch or tag is now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) revision: String,
    /// The one that others come from, where the server says.
    pub(crate) default_branch: Option<String>,
}

/// What could not be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// This host does not let us.
    #[error("cannot {doing} for a fetch: {source}")]
    System {
        /// In the imperative.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The key, or the token, cannot be had.
    #[error("{0}")]
    Key(Refusal),
    /// Its protocol is none of those.
    #[error(
        "`{url}` is not fetched from: only https and ssh are, unless the server is started with --allow-insecure-fetch"
    )]
    Protocol {
        /// Without what may be a password.
        url: String,
    },
    /// Git said no.
    #[error("cannot fetch {revision} from {url}: {said}")]
    Git {
        /// Of the commit.
        revision: String,
        /// Without what may be a password.
        url: String,
        /// By git.
        said: String,
    },
    /// It took too long.
    #[error("cannot fetch {revision} from {url}: it takes longer than {} s", PATIENCE.as_secs())]
    TooLong {
        /// Of the commit.
        revision: String,
        /// Without what may be a password.
        url: String,
    },
    /// There is none.
    #[error("the commit {revision} has no file {}", super::PATH)]
    NoFile {
        /// Of the commit.
        revision: String,
    },
    /// It is none.
    #[error("{} of {revision} is no text of at most {LONGEST} bytes", super::PATH)]
    NoText {
        /// Of the commit.
        revision: String,
    },
}

impl FetchError {
    /// Whether the same may succeed later, without a change of the repository.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::System { .. } | Self::Key(_))
    }

    fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}

impl Fetches {
    /// In a directory of its own in the data directory, emptied of what an earlier life has left there.
    pub(crate) fn open(data_dir: &Path, insecure: bool) -> io::Result<Self> {
        let directory = data_dir.join("fetches");
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => data_dir::make(&directory)?,
        }
        Ok(Self { directory, insecure, room: Semaphore::new(AT_ONCE) })
    }

    /// Whether a repository of this address is fetched from.
    pub(crate) fn admits(&self, url: &str) -> Result<(), FetchError> {
        let is_admitted = match repository::transport(url) {
            Ok(Transport::Ssh) => true,
            Ok(Transport::Http) => self.insecure || url.starts_with("https://"),
            Ok(Transport::File) => self.insecure,
            Ok(Transport::Git) | Err(_) => false,
        };
        let refused = || FetchError::Protocol { url: repository::without_password(url) };
        is_admitted.then_some(()).ok_or_else(refused)
    }

    /// The configuration at the revision of an event.
    pub(crate) async fn fetch(
        &self,
        plane: &Plane,
        row: &RepositoryRow,
        event: &Event,
    ) -> Result<Fetched, FetchError> {
        self.with_git(plane, row, &event.revision, async |git| git.bring(event).await).await
    }

    /// The commit that a reference, or `HEAD`, is at now; none if there is none.
    pub(crate) async fn newest(
        &self,
        plane: &Plane,
        row: &RepositoryRow,
        reference: &str,
    ) -> Result<Option<Newest>, FetchError> {
        self.with_git(plane, row, reference, async |git| git.newest(reference).await).await
    }

    /// Has a git do something in a directory of its own.
    async fn with_git<T>(
        &self,
        plane: &Plane,
        row: &RepositoryRow,
        revision: &str,
        work: impl AsyncFnOnce(Git<'_>) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let url = &row.url;
        self.admits(url)?;
        let (mut key, mut config) = (None, None);
        match repository::transport(url) {
            Ok(Transport::Ssh) => {
                key = plane.checkout_key(row.project).await.map_err(FetchError::Key)?;
            }
            Ok(Transport::Http) => {
                let token = plane.provider_token(row).await.map_err(FetchError::Key)?;
                config = token.and_then(|token| with_token(row, &token));
            }
            _ => {}
        }
        let _room = self.room.acquire().await;
        let has = Has { key, config, known_hosts: &plane.rules.known_hosts };
        let scratch = Scratch::make(&self.directory, &has).map_err(FetchError::system("make a directory"))?;
        let protocols = if self.insecure { "file:http:https:ssh" } else { "https:ssh" };
        let until = Instant::now() + PATIENCE;
        work(Git { scratch: &scratch, url, revision, protocols, until }).await
    }
}

/// What a fetch has of its own.
#[derive(Default)]
struct Has<'h> {
    key: Option<SshKey>,
    /// Settings of git.
    config: Option<String>,
    known_hosts: &'h str,
}

/// Settings by which git shows the token to the repository's own host, and to no other.
fn with_token(row: &RepositoryRow, token: &str) -> Option<String> {
    let place = repository::place(&row.url)?;
    let user = logins::user_of(row.provider);
    let (scheme, host) = (if place.is_plain { "http" } else { "https" }, place.host);
    let shown = STANDARD.encode(format!("{user}:{token}"));
    Some(format!("[http \"{scheme}://{host}/\"]\n\textraHeader = \"Authorization: Basic {shown}\"\n"))
}

/// A directory for one fetch, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn make(directory: &Path, has: &Has<'_>) -> io::Result<Self> {
        let scratch = Self(directory.join(Uuid::now_v7().to_string()));
        data_dir::make(&scratch.0)?;
        let file = |name: &str, text: &str| data_dir::write_private(&scratch.0.join(name), text);
        if let Some(key) = &has.key {
            file("key", key.private_key.trim_end())?;
        }
        file("known_hosts", &format!("{KNOWN_HOSTS}\n{}", has.known_hosts))?;
        file("settings", has.config.as_deref().unwrap_or_default())?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All processes of a git, ended with this unless it has ended by itself: then another may have its number.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // One that is gone is what is wanted.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}

struct Git<'g> {
    scratch: &'g Scratch,
    url: &'g str,
    revision: &'g str,
    protocols: &'g str,
    until: Instant,
}

impl Git<'_> {
    async fn bring(&self, event: &Event) -> Result<Fetched, FetchError> {
        self.run(&["init", "--quiet", "--bare", "--template="]).await?;
        self.run(&["config", "remote.origin.url", self.url]).await?;
        self.fetch(event).await?;
        let commit = self.commit().await?;
        let file = format!("{}:{}", self.revision, super::PATH);
        let missing = || FetchError::NoFile { revision: self.revision.to_owned() };
        let listed = self.run(&["ls-tree", self.revision, super::PATH]).await?;
        if !listed.starts_with(b"100") {
            return Err(missing());
        }
        let bytes = self.run(&["cat-file", "blob", &file]).await?;
        let no_text = || FetchError::NoText { revision: self.revision.to_owned() };
        if bytes.len() as u64 > LONGEST {
            return Err(no_text());
        }
        Ok(Fetched { config: String::from_utf8(bytes).map_err(|_| no_text())?, commit })
    }

    async fn newest(&self, reference: &str) -> Result<Option<Newest>, FetchError> {
        self.run(&["init", "--quiet", "--bare", "--template="]).await?;
        // Of a tag that is an object of its own, the commit is what is asked for behind it.
        let peeled = format!("{reference}^{{}}");
        let said =
            self.run(&["ls-remote", "--quiet", "--symref", self.url, "HEAD", reference, &peeled]).await?;
        Ok(found(&String::from_utf8_lossy(&said), reference, &peeled))
    }

    /// The one commit where the server gives it by its id, else all that its branch or tag has.
    async fn fetch(&self, event: &Event) -> Result<(), FetchError> {
        let quiet = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        let alone = [&quiet[..], &["--depth=1", "--filter=blob:none", "origin", self.revision]].concat();
        let Err(error) = self.run(&alone).await else { return Ok(()) };
        let Some(reference) = event.reference().filter(|_| matches!(error, FetchError::Git { .. })) else {
            return Err(error);
        };
        let reference = format!("+{reference}:refs/fetched");
        self.run(&[&quiet[..], &["origin", &reference]].concat()).await?;
        self.run(&["cat-file", "-e", &format!("{}^{{commit}}", self.revision)]).await.map(drop)
    }

    async fn commit(&self) -> Result<CommitValues, FetchError> {
        let format = "--format=%s%x00%b%x00%an%x00%ae";
        let said = self.run(&["log", "-1", "--no-show-signature", format, self.revision, "--"]).await?;
        let said = String::from_utf8_lossy(&said);
        let mut parts = said.split('\0').map(|part| part.trim_end().to_owned());
        let mut next = || parts.next().unwrap_or_default();
        Ok(CommitValues { subject: next(), body: next(), author_name: next(), author_email: next() })
    }

    async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, FetchError> {
        let mut child = self.command(arguments).spawn().map_err(FetchError::system("start git"))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut group = Group(group);
        let ended = timeout_at(self.until, told(&mut child)).await;
        let url = repository::without_password(self.url);
        let revision = self.revision.to_owned();
        let Ok(ended) = ended else { return Err(FetchError::TooLong { revision, url }) };
        let (is_success, said, complaint) = ended.map_err(FetchError::system("read what git says"))?;
        group.0 = None;
        if is_success {
            return Ok(said);
        }
        Err(FetchError::Git { revision, url, said: String::from_utf8_lossy(&complaint).trim().to_owned() })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LIMITED, "git"]).args(SETTINGS).args(arguments).current_dir(&self.scratch.0);
        command.env_clear().envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
            .env("HOME", &self.scratch.0)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.scratch.0.join("settings"));
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "/bin/false").env("LC_ALL", "C");
        command.env("GIT_ALLOW_PROTOCOL", self.protocols).env("GIT_SSH_COMMAND", SSH);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }
}

/// What `git ls-remote --symref` says of a reference, in lines of two words with a tabulator between them.
fn found(said: &str, reference: &str, peeled: &str) -> Option<Newest> {
    let lines = || said.lines().filter_map(|line| line.split_once('\t'));
    let is_commit = |revision: &str| repository::is_commit(revision);
    let of = |name: &str| {
        lines().find(|(at, named)| *named == name && is_commit(at)).map(|(revision, _)| revision.to_owned())
    };
    let heads = || {
        lines()
            .filter(|(_, named)| *named == "HEAD")
            .filter_map(|(to, _)| to.strip_prefix("ref: refs/heads/"))
    };
    let revision = of(peeled).or_else(|| of(reference))?;
    Some(Newest { revision, default_branch: heads().next().map(str::to_owned) })
}

/// Whether it succeeded, what it said and what it complained of, each up to its limit and one byte more.
async fn told(child: &mut Child) -> io::Result<(bool, Vec<u8>, Vec<u8>)> {
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let (said, complaint) = tokio::join!(first(output, LONGEST + 1), first(errors, COMPLAINT));
    let (said, complaint) = (said?, complaint?);
    // Whoever has more to say than is read is over by a closed pipe.
    let is_success = child.wait().await?.success() || said.len() as u64 > LONGEST;
    Ok((is_success, said, complaint))
}

async fn first(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Processes that work in this directory.
    fn within(directory: &Path) -> usize {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == directory)).count()
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up_with_all_that_git_has_started() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/app.git", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(folder.path(), &Has::default()).unwrap();
        let directory = scratch.0.clone();
        let until = Instant::now() + Duration::from_secs(1);
        let revision = "1".repeat(40);
        let git = Git { scratch: &scratch, url: &url, revision: &revision, protocols: "http", until };
        let event = Event { revision: revision.clone(), branch: Some("main".to_owned()), ..Event::default() };
        let error = git.bring(&event).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLong { .. }), "{error}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while within(&directory) > 0 {
            assert!(Instant::now() < deadline, "a process of git goes on");
            tokio::task::yield_now().await;
        }
        drop(scratch);
        assert!(!directory.exists(), "nothing of a fetch stays");
    }

    #[test]
    fn a_reference_is_found_by_its_whole_name_and_a_tag_by_its_commit() {
        let [one, two] = ["1", "2"].map(|digit| digit.repeat(40));
        let said = format!(
            "ref: refs/heads/main\tHEAD\n{one}\tHEAD\n{two}\tx/refs/heads/v1\n{one}\trefs/tags/v1\n{two}\trefs/tags/v1^{{}}\n"
        );
        let found = |reference: &str| found(&said, reference, &format!("{reference}^{{}}"));
        let newest = Newest { revision: two, default_branch: Some("main".to_owned()) };
        assert_eq!(found("refs/tags/v1"), Some(newest));
        assert_eq!(found("HEAD").map(|newest| newest.revision), Some(one));
        assert_eq!(found("refs/heads/v1"), None);
    }

    #[test]
    fn only_what_is_encrypted_is_fetched_over_unless_all_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let admits =
            |insecure, url: &str| Fetches::open(folder.path(), insecure).unwrap().admits(url).is_ok();
        for url in ["https://example.org/a", "ssh://git@example.org/a", "git@example.org:a"] {
            assert!(admits(false, url) && admits(true, url), "{url}");
        }
        for url in ["http://example.org/a", "file:///a", "/a"] {
            assert!(!admits(false, url) && admits(true, url), "{url}");
        }
        for url in ["git://example.org/a", "ext::sh -c true", "gopher://example.org/a", "-x"] {
            assert!(!admits(false, url) && !admits(true, url), "{url}");
        }
    }
}
