//! Where a task lives: its own root with home, working directory and temporary files, and its variables.

use rustix::fs::{Mode, OFlags};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// The surroundings of a task's steps.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The task's own root: `~` and `HOME`.
    pub(crate) home: PathBuf,
    /// For temporary files; on the disk of the root.
    pub(crate) temporary: PathBuf,
    /// The job's, absolute.
    pub(crate) working_directory: PathBuf,
    /// The job's environment, as its commands see it.
    pub(crate) variables: BTreeMap<String, String>,
}

/// A path of a cache: the named root it belongs to, that root on this host, and the path below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rooted {
    /// `home`, `work` or `abs`.
    pub(crate) name: &'static str,
    /// Absolute.
    pub(crate) base: PathBuf,
    /// Relative to `base`.
    pub(crate) relative: PathBuf,
}

impl Place {
    /// A path as written in a configuration: `~` is the home, a relative one begins at the working directory.
    pub(crate) fn resolve(&self, written: &str) -> PathBuf {
        match written.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(below) if below.starts_with('/') => self.home.join(below.trim_start_matches('/')),
            _ => self.working_directory.join(written),
        }
    }

    /// The same for a cache, which may be restored below another home and working directory than it was saved from.
    pub(crate) fn rooted(&self, written: &str) -> Rooted {
        let path = self.resolve(written);
        let below = |name, base: &Path| {
            let relative = path.strip_prefix(base).ok()?;
            Some(Rooted { name, base: base.to_owned(), relative: relative.to_owned() })
        };
        let absolute = || Rooted {
            name: "abs",
            base: PathBuf::from("/"),
            relative: path.strip_prefix("/").unwrap_or(&path).to_owned(),
        };
        below("work", &self.working_directory).or_else(|| below("home", &self.home)).unwrap_or_else(absolute)
    }

    /// Where the named roots of a cache lie now.
    pub(crate) fn roots(&self) -> BTreeMap<String, PathBuf> {
        let root = |name: &str, path: &Path| (name.to_owned(), path.to_owned());
        BTreeMap::from([
            root("work", &self.working_directory),
            root("home", &self.home),
            root("abs", Path::new("/")),
        ])
    }

    /// A file without a name: gone with its last descriptor, whoever dies.
    pub(crate) fn unnamed_file(&self) -> io::Result<File> {
        fs::create_dir_all(&self.temporary)?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(&self.temporary, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(file.into()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => self.unlinked_file(),
            Err(error) => Err(error.into()),
        }
    }

    /// For file systems without `O_TMPFILE`, overlayfs on old kernels among them.
    fn unlinked_file(&self) -> io::Result<File> {
        let path = self.temporary.join(format!(".unnamed-{:?}", std::thread::current().id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(path)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    fn place() -> Place {
        Place {
            home: "/tasks/1".into(),
            temporary: "/tasks/1/tmp".into(),
            working_directory: "/tasks/1/project".into(),
            variables: BTreeMap::new(),
        }
    }

    #[test]
    fn a_written_path_begins_at_home_at_the_working_directory_or_at_the_top() {
        for (written, path) in [
            ("~", "/tasks/1"),
            ("~/.npm", "/tasks/1/.npm"),
            ("~odd", "/tasks/1/project/~odd"),
            ("dist", "/tasks/1/project/dist"),
            ("/tmp/x", "/tmp/x"),
        ] {
            assert_eq!(place().resolve(written), Path::new(path));
        }
    }

    #[test]
    fn a_cached_path_belongs_to_the_nearest_root() {
        for (written, name, relative) in [
            ("node_modules", "work", "node_modules"),
            ("~/project/dist", "work", "dist"),
            ("~/.npm", "home", ".npm"),
            ("/var/cache/x", "abs", "var/cache/x"),
        ] {
            let rooted = place().rooted(written);
            assert_eq!((rooted.name, rooted.relative.as_path()), (name, Path::new(relative)));
            assert_eq!(place().roots()[name], rooted.base);
        }
    }

    #[test]
    fn an_unnamed_file_is_written_and_read_and_leaves_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { temporary: dir.path().join("tmp"), ..place() };
        for mut file in [place.unnamed_file().unwrap(), place.unlinked_file().unwrap()] {
            file.write_all(b"x").unwrap();
            file.rewind().unwrap();
            assert_eq!(io::read_to_string(file).unwrap(), "x");
        }
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }
}
