//! Images of this host's own programs with the libraries they need: more than busybox has, and no registry is asked.

use crate::podman::Podman;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

/// Stands in for the public image of this name: bash and the usual tools; its user is `circleci`.
pub(crate) const BASE: &str = "cimg/base:current";
/// The same with git, and with busybox, which serves over http.
pub(crate) const GIT: &str = "cimg/git:current";
/// PostgreSQL, server and client, with the variables of the public image.
pub(crate) const POSTGRES: &str = "cimg/postgres:15.10";

const ASSEMBLE: &str = include_str!("assemble.sh");
const ENTRY: &str = include_str!("postgres.sh");
const TOOLS: &str = "bash sh awk grep gzip sed tar basename cat chmod cp cut date dirname env head id ln ls mkdir mktemp mv \
                     paste rm sha256sum sleep sort stat tail tee touch tr uniq wc";
const SHELL: &str = "bash sh cat grep id mkdir sleep";

/// Makes [`BASE`] in this engine.
pub(crate) fn base(podman: &Podman) {
    let root = with_tools(podman, &[]);
    of_circleci(podman, &root, BASE);
}

/// Makes [`GIT`] in this engine, with what `fill` adds to its root; below `srv` all is its user's.
pub(crate) fn git(podman: &Podman, fill: impl FnOnce(&Path)) {
    let programs = integration::git::git(Path::new("/"), &["--exec-path"]);
    let program = |name: &str| format!("{programs}/{name}");
    let more = ["git", "busybox", &program("git-remote-http"), &program("git-http-backend")];
    let root = with_tools(podman, &more.map(str::to_owned));
    fill(&root);
    let owned = Command::new("chown").args(["-R", "3434:3434"]).arg(root.join("srv")).status().unwrap();
    assert!(owned.success());
    of_circleci(podman, &root, GIT);
}

fn with_tools(podman: &Podman, more: &[String]) -> PathBuf {
    let tools = TOOLS.split_whitespace().map(str::to_owned);
    let things: Vec<String> = tools.chain(more.iter().cloned()).collect();
    assembled(podman, "base", &things, ("circleci", 3434, "home/circleci"))
}

fn of_circleci(podman: &Podman, root: &Path, name: &str) {
    let changes =
        ["USER circleci", "WORKDIR /home/circleci/project", "ENV PATH=/usr/local/bin:/usr/bin:/bin"];
    imported(podman, root, &changes, name);
}

/// Makes [`POSTGRES`] in this engine, where this host has its programs. Says so where it has not, and a test is skipped.
pub(crate) fn postgres(podman: &Podman) -> bool {
    let Some(version) = newest(Path::new("/usr/lib/postgresql")) else {
        eprintln!("skipped: there is no PostgreSQL here (package postgresql)");
        return false;
    };
    let lib = format!("/usr/lib/postgresql/{version}");
    let own = [
        "bin/postgres",
        "bin/initdb",
        "bin/psql",
        "bin/pg_isready",
        "lib/plpgsql.so",
        "lib/dict_snowball.so",
    ];
    let mut things: Vec<String> = own.iter().map(|path| format!("{lib}/{path}")).collect();
    things.push(format!("/usr/share/postgresql/{version}"));
    things.extend(SHELL.split_whitespace().map(str::to_owned));
    let root = assembled(podman, "postgres", &things, ("postgres", 999, "var/lib/postgresql"));
    fs::write(root.join("entry"), ENTRY).unwrap();
    fs::set_permissions(root.join("entry"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("ENV PATH={lib}/bin:/usr/bin:/bin");
    imported(podman, &root, &[&path, "USER postgres", "ENTRYPOINT [\"/entry\"]"], POSTGRES);
    true
}

/// The directory of the highest number.
fn newest(directory: &Path) -> Option<u32> {
    let names = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).max()
}

/// A root directory with these things of the host and one account besides root's.
fn assembled(podman: &Podman, name: &str, things: &[String], account: (&str, u32, &str)) -> PathBuf {
    let (root, (user, number, home)) = (podman.path().join(name), account);
    let done =
        Command::new("sh").args(["-c", ASSEMBLE, "assemble.sh"]).arg(&root).args(things).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let passwd = format!("root:x:0:0::/root:/bin/sh\n{user}:x:{number}:{number}::/{home}:/bin/sh\n");
    fs::write(root.join("etc/passwd"), passwd).unwrap();
    fs::write(root.join("etc/group"), format!("root:x:0:\n{user}:x:{number}:\n")).unwrap();
    fs::create_dir_all(root.join(home)).unwrap();
    chown(root.join(home), Some(number), Some(number)).unwrap();
    root
}

fn imported(podman: &Podman, root: &Path, changes: &[&str], name: &str) {
    let archive = root.with_extension("tar");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(root).args(["--numeric-owner", "-cf"]).arg(&archive).arg(".");
    assert!(pack.status().unwrap().success());
    let mut words = vec!["import"];
    changes.iter().for_each(|change| words.extend(["--change", change]));
    let archive = archive.to_string_lossy().into_owned();
    let name = format!("docker.io/{name}");
    words.extend([archive.as_str(), name.as_str()]);
    podman.printed(&words);
}
