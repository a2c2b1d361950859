//! In a snapshot git says what it says in the author's tree.

#![expect(clippy::unwrap_used, reason = "what a test sets up is there")]

use snapshot::{Commit, Snapshot, SnapshotError, What, take};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::{TempDir, tempdir};

/// Git as an author without settings of their own has it.
fn git(tree: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.com");
    }
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    git.args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"]);
    let output = git.args(arguments).current_dir(tree).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

struct Author {
    place: TempDir,
}

impl Author {
    fn tree(&self) -> PathBuf {
        self.place.path().join("tree")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.tree().join(path)
    }

    fn write(&self, path: &str, content: &str) -> &Self {
        write(&self.at(path), content);
        self
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.tree(), arguments)
    }

    fn commit(&self) -> &Self {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "a commit"]);
        self
    }

    fn copy(&self) -> PathBuf {
        self.place.path().join("snapshot")
    }

    fn take(&self, what: What) -> Snapshot {
        take(&self.tree(), &self.copy(), what, &[]).unwrap()
    }

    /// The snapshot says what the author's tree says, of everything that git can tell.
    fn check_same(&self) -> Snapshot {
        let snapshot = self.take(What::WorkingTree);
        for question in [
            &["status", "--porcelain=v1", "--branch"][..],
            &["status", "--porcelain=v2", "--untracked-files=all"],
            &["log", "--all", "--oneline", "--decorate"],
            &["diff"],
            &["diff", "--cached"],
            &["ls-files", "--stage", "-t"],
            &["submodule", "status", "--recursive"],
        ] {
            assert_eq!(git(&self.copy(), question), self.git(question), "{question:?}");
        }
        git(&self.copy(), &["fsck", "--strict"]);
        snapshot
    }
}

fn folder() -> Author {
    let author = Author { place: tempdir().unwrap() };
    fs::create_dir(author.tree()).unwrap();
    author
}

fn repository() -> Author {
    let author = folder();
    author.git(&["init", "-q"]);
    author.write(".gitignore", "target/\n*.log\n").write("src/main", "main\n").write("run.sh", "#!/bin/sh\n");
    author
        .write("kept.log", "tracked though ignored\n")
        .write("old name", &"many lines\n".repeat(20))
        .write("gone", "x\n");
    author.git(&["add", "-f", "kept.log"]);
    author.commit();
    author
}

#[test]
fn a_working_tree_is_taken_as_it_is() {
    let author = repository();
    author.write("src/main", "changed\n").write("staged", "staged\n").write("both", "one\n");
    author.git(&["add", "staged", "both"]);
    author.git(&["mv", "old name", "new name"]);
    author.write("both", "two\n").write("untracked/file ü", "new\n").write("target/ignored", "no\n");
    fs::remove_file(author.at("gone")).unwrap();
    fs::set_permissions(author.at("run.sh"), Permissions::from_mode(0o755)).unwrap();
    symlink("src/main", author.at("link")).unwrap();
    author.git(&["branch", "other"]);
    let snapshot = author.check_same();
    assert_eq!((snapshot.files, snapshot.notes), (9, vec![]));
    assert!(!author.copy().join("target").exists() && !author.copy().join("gone").exists());
    let git = snapshot.git.unwrap();
    assert_eq!(git.branch.as_deref(), Some("main"));
    assert_eq!(git.revision.unwrap(), author.git(&["rev-parse", "HEAD"]).trim());
}

#[test]
fn what_a_commit_says_of_itself_is_told() {
    let author = folder();
    author.git(&["init", "-q"]);
    author.write("file", "x\n");
    assert_eq!(author.take(What::WorkingTree).git.unwrap().commit, Commit::default());
    fs::remove_dir_all(author.copy()).unwrap();
    author.git(&["add", "-A"]);
    author.git(&["commit", "-qm", "Mend ü\n\nAll of it,\n\nand more.\n"]);
    let commit = author.take(What::Committed).git.unwrap().commit;
    let said = [commit.subject, commit.body, commit.author_name, commit.author_email];
    assert_eq!(said, ["Mend ü", "All of it,\n\nand more.", "A", "a@example.com"]);
}

#[test]
fn every_account_can_read_a_snapshot() {
    let author = repository();
    author.write("private/secret", "mine\n");
    fs::set_permissions(author.at("private/secret"), Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(author.at("private"), Permissions::from_mode(0o700)).unwrap();
    author.take(What::WorkingTree);
    let find = |test: &str| {
        let found = Command::new("find").arg(author.copy()).args(test.split(' ')).output().unwrap().stdout;
        String::from_utf8(found).unwrap()
    };
    assert_eq!(find("-type f -not -perm -444"), "");
    assert_eq!(find("-type d -not -perm -555"), "");
}

#[test]
fn submodules_come_with_their_own_repositories() {
    let (author, library, inner) = (repository(), repository(), repository());
    library.git(&["submodule", "add", "-q", &inner.tree().display().to_string(), "inner"]);
    library.commit();
    author.git(&["submodule", "add", "-q", &library.tree().display().to_string(), "lib/one"]);
    author.git(&["submodule", "update", "-q", "--init", "--recursive"]);
    author.commit();
    author.write("lib/one/src/main", "changed within\n").write("lib/one/inner/new", "untracked\n");
    author.check_same();
    assert_eq!(git(&author.copy().join("lib/one"), &["status", "--porcelain"]), " M inner\n M src/main\n");
    fs::remove_dir_all(author.copy()).unwrap();
    author.git(&["submodule", "--quiet", "deinit", "--force", "lib/one"]);
    author.check_same();
}

#[test]
fn a_repository_within_another_is_taken_too() {
    let author = repository();
    let nested = author.at("vendor/nested");
    fs::create_dir_all(&nested).unwrap();
    git(&nested, &["init", "-q"]);
    write(&nested.join("file"), "x\n");
    author.check_same();
    assert_eq!(git(&author.copy().join("vendor/nested"), &["status", "--porcelain"]), "?? file\n");
}

#[test]
fn a_linked_work_tree_becomes_a_repository_of_its_own() {
    let author = repository();
    author.git(&["worktree", "add", "-q", "../linked", "-b", "side"]);
    let linked = author.place.path().join("linked");
    write(&linked.join("staged"), "x\n");
    git(&linked, &["add", "staged"]);
    let snapshot = take(&linked, &author.copy(), What::WorkingTree, &[]).unwrap();
    assert_eq!(snapshot.git.unwrap().branch.as_deref(), Some("side"));
    assert_eq!(git(&author.copy(), &["status", "--porcelain"]), "A  staged\n");
    assert!(author.copy().join(".git").is_dir());
    drop(fs::remove_dir_all(author.tree()));
    git(&author.copy(), &["log", "--oneline"]);
}

#[test]
fn borrowed_objects_come_along() {
    let author = repository();
    let borrower = author.place.path().join("borrower");
    git(author.place.path(), &["clone", "-q", "--shared", "tree", "borrower"]);
    take(&borrower, &author.copy(), What::WorkingTree, &[]).unwrap();
    fs::remove_dir_all(author.tree()).unwrap();
    git(&author.copy(), &["fsck", "--strict"]);
    assert_eq!(git(&author.copy(), &["status", "--porcelain"]), "");
}

#[test]
fn shallow_clones_merges_and_split_indexes_are_taken() {
    let author = repository();
    author.write("src/main", "second\n").commit();
    git(
        author.place.path(),
        &["clone", "-q", "--depth=1", &format!("file://{}", author.tree().display()), "shallow"],
    );
    let shallow = author.place.path().join("shallow");
    take(&shallow, &author.copy(), What::WorkingTree, &[]).unwrap();
    assert_eq!(git(&author.copy(), &["log", "--oneline"]), git(&shallow, &["log", "--oneline"]));
    fs::remove_dir_all(author.copy()).unwrap();
    author.git(&["checkout", "-qb", "side", "HEAD~1"]);
    author.write("src/main", "theirs\n").commit();
    author.git(&["update-index", "--split-index"]);
    let merge = Command::new("git").args(["merge", "main"]).current_dir(author.tree()).output().unwrap();
    assert!(!merge.status.success(), "it conflicts");
    author.check_same();
}

#[test]
fn detached_heads_tags_and_first_days_are_told() {
    let author = folder();
    author.git(&["init", "-q"]);
    author.write("file", "x\n");
    let git = author.take(What::WorkingTree).git.unwrap();
    assert_eq!((git.revision, git.branch.as_deref()), (None, Some("main")));
    fs::remove_dir_all(author.copy()).unwrap();
    let refused = take(&author.tree(), &author.copy(), What::Committed, &[]).unwrap_err();
    assert!(matches!(refused, SnapshotError::NoCommit(_)));
    assert!(!author.copy().exists(), "nothing half-made stays");
    author.commit();
    author.git(&["tag", "v1"]);
    author.git(&["checkout", "-q", "--detach"]);
    let git = author.check_same().git.unwrap();
    assert_eq!((git.branch, git.tag.as_deref()), (None, Some("v1")));
}

#[test]
fn no_credential_goes_along() {
    let author = repository();
    author.git(&["remote", "add", "origin", "https://me:hunter2@example.com/a.git"]);
    author.git(&["config", "http.https://example.com/.extraheader", "Authorization: hunter2"]);
    author.git(&["config", "credential.helper", "store --file=hunter2"]);
    author.git(&["config", "url.https://hunter2@example.com/.insteadOf", "ex:"]);
    author.git(&["config", "remote.fork.pushurl", "https://hunter2@example.com/fork"]);
    write(&author.at(".git/hooks/pre-commit"), "echo hunter2");
    let snapshot = author.take(What::WorkingTree);
    assert_eq!(snapshot.git.unwrap().url.as_deref(), Some("https://example.com/a.git"));
    let found = Command::new("grep").args(["-r", "hunter2"]).arg(author.copy()).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
    assert_eq!(git(&author.copy(), &["remote"]), "fork\norigin\n");
}

#[test]
fn committed_takes_the_commit_and_nothing_else() {
    let (author, library) = (repository(), repository());
    author.git(&["submodule", "add", "-q", &library.tree().display().to_string(), "lib"]);
    author.commit().write("src/main", "changed\n").write("untracked", "x\n").write("lib/new", "x\n");
    fs::remove_file(author.at("gone")).unwrap();
    let snapshot = author.take(What::Committed);
    assert_eq!(git(&author.copy(), &["status", "--porcelain"]), "");
    assert_eq!(fs::read_to_string(author.copy().join("src/main")).unwrap(), "main\n");
    assert!(author.copy().join("lib/src/main").exists() && !author.copy().join("lib/new").exists());
    assert_eq!(snapshot.files, 13);
}

#[test]
fn a_folder_that_is_no_repository_comes_whole_but_for_what_is_left_out() {
    let author = folder();
    author.write("a/b", "x\n").write("state/tasks/log", "not part of it\n").write("empty", "");
    let into = author.at("state/snapshot");
    let snapshot = take(&author.tree(), &into, What::WorkingTree, &[author.at("state")]).unwrap();
    assert_eq!((snapshot.git, snapshot.files, snapshot.bytes), (None, 2, 2));
    assert!(into.join("a/b").exists() && !into.join("state").exists());
    let refused = take(&author.tree(), &author.copy(), What::Committed, &[]).unwrap_err();
    assert!(matches!(refused, SnapshotError::NotARepository(_)));
}

#[test]
fn a_state_directory_within_a_repository_is_left_out() {
    let author = repository();
    author.write("state/file", "not part of it\n");
    let into = author.at("state/snapshot");
    take(&author.tree(), &into, What::WorkingTree, &[author.at("state"), author.place.path().to_owned()])
        .unwrap();
    assert!(into.join("src/main").exists() && !into.join("state").exists());
}

#[test]
fn a_folder_within_a_repository_comes_without_what_is_ignored() {
    let author = repository();
    author.write("sub/file", "x\n").write("sub/target/out", "ignored\n");
    let snapshot = take(&author.at("sub"), &author.copy(), What::WorkingTree, &[]).unwrap();
    assert_eq!(snapshot.files, 1);
    assert!(snapshot.git.is_some() && !author.copy().join(".git").exists());
    fs::remove_dir_all(author.copy()).unwrap();
    let ignored = take(&author.at("sub/target"), &author.copy(), What::WorkingTree, &[]).unwrap();
    assert_eq!(ignored.files, 1, "a folder that is ignored as a whole comes whole");
}

#[test]
fn objects_are_shared_with_the_author_where_nobody_may_write_them() {
    let author = repository();
    author.git(&["gc", "-q"]);
    author.take(What::WorkingTree);
    let pack = |git: PathBuf| {
        let mut packs = fs::read_dir(git.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        packs.find(|path| path.extension().is_some_and(|end| end == "pack")).unwrap().metadata().unwrap()
    };
    assert_eq!(pack(author.copy().join(".git")).ino(), pack(author.at(".git")).ino());
}

#[test]
fn many_loose_objects_become_a_pack() {
    let author = repository();
    for number in 0..300 {
        author.write(&format!("many/{number}"), &format!("{number}\n"));
    }
    author.commit();
    author.write("staged only", "not in any commit\n");
    author.git(&["add", "staged only"]);
    author.check_same();
    assert_eq!(git(&author.copy(), &["show", ":staged only"]), "not in any commit\n");
    let count =
        |tree: &Path| git(tree, &["count-objects"]).split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(count(&author.copy()) < 10 && count(&author.tree()) > 300);
}

#[test]
fn roots_snapshot_of_another_users_repository_is_taken_with_that_users_rights() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let author = repository();
    author.git(&["config", "core.fsmonitor", "touch /tmp/never-as-root; false"]);
    fs::set_permissions(author.place.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(author.tree()).status().unwrap().success());
    for what in [What::WorkingTree, What::Committed] {
        let snapshot = author.take(what);
        assert_eq!(snapshot.files, 6);
        assert_eq!(git(&author.copy(), &["status", "--porcelain"]), "");
        fs::remove_dir_all(author.copy()).unwrap();
    }
}
