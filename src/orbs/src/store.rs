//! Published orbs as files: a version is written once, a development version whenever its author likes.

use compiler::orb::{Missing, Orb, Orbs, Reference, Wanted, newest};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A directory of published orbs.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// One published version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// `namespace/name`
    pub name: String,
    /// `1.2.3` or `dev:x`.
    pub version: String,
}

/// Why something could not be published or listed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be read or written.
    #[error("cannot use the orb store {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A version is what it is once it is published.
    #[error(
        "{0} is published already with another source: publish the next version, or @dev:name to try things out"
    )]
    Published(String),
    /// Only whole versions are published.
    #[error("{0} is no version to publish: write @1.2.3 or @dev:name")]
    NoVersion(String),
}

impl Store {
    /// The store in this directory, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Publishes a source. A version that is there with the same source stays as it is.
    pub fn publish(&self, reference: &Reference, source: &str) -> Result<Published, StoreError> {
        if !reference.is_version() {
            return Err(StoreError::NoVersion(reference.to_string()));
        }
        let version = reference.wanted.to_string();
        let path = self.file(&reference.name, &version);
        let published = Published { name: reference.name.clone(), version };
        match fs::read_to_string(&path) {
            Ok(text) if text == source => return Ok(published),
            Ok(_) if !matches!(reference.wanted, Wanted::Development(_)) => {
                return Err(StoreError::Published(reference.to_string()));
            }
            _ => {}
        }
        written(&path, source).map_err(|source| StoreError::Io { path, source })?;
        Ok(published)
    }

    /// All that is published, by name and version.
    pub fn list(&self) -> Result<Vec<Published>, StoreError> {
        let mut all = Vec::new();
        for namespace in folders(&self.root)? {
            for name in folders(&self.root.join(&namespace))? {
                let name = format!("{namespace}/{name}");
                let versions = self.versions(&name)?.into_iter();
                all.extend(versions.map(|version| Published { name: name.clone(), version }));
            }
        }
        all.sort();
        Ok(all)
    }

    /// The published versions of one orb; none if there is no such orb.
    fn versions(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let folder = self.root.join(name);
        let numbered = texts(&folder)?;
        let development = texts(&folder.join("dev"))?.into_iter().map(|label| format!("dev:{label}"));
        Ok(numbered.into_iter().chain(development).collect())
    }

    fn file(&self, name: &str, version: &str) -> PathBuf {
        self.root.join(name).join(format!("{}.yml", version.replacen(':', "/", 1)))
    }

    fn missing(&self, reference: &Reference, versions: &[String]) -> Missing {
        let reason = if versions.is_empty() {
            format!("{} has no orb of this name", self.root.display())
        } else {
            format!("{} has only {}", self.root.display(), versions.join(", "))
        };
        let help = format!(
            "`roundhouse orb import {reference}` fetches a public orb; `roundhouse orb publish {}@VERSION PATH` publishes your own",
            reference.name
        );
        Missing { reason, help }
    }
}

impl Orbs for Store {
    fn find(&self, reference: &Reference) -> Result<Orb, Missing> {
        let broken = |error: &dyn std::error::Error| Missing {
            reason: error.to_string(),
            help: "name another store with --orbs DIR".to_owned(),
        };
        let versions = self.versions(&reference.name).map_err(|error| broken(&error))?;
        let Some(version) = newest(&reference.wanted, versions.iter().map(String::as_str)) else {
            return Err(self.missing(reference, &versions));
        };
        let source =
            fs::read_to_string(self.file(&reference.name, version)).map_err(|error| broken(&error))?;
        Ok(Orb { version: version.to_owned(), source })
    }

    fn at(&self, _: &str) -> Result<Orb, Missing> {
        Err(Missing {
            reason: "a folder of orbs has none by address".to_owned(),
            help: "publish it there by a name".to_owned(),
        })
    }
}

/// Writes a file whole or not at all.
fn written(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn folders(path: &Path) -> Result<Vec<String>, StoreError> {
    names(path, |entry| Some(entry.file_name().into_string().ok()?).filter(|_| entry.path().is_dir()))
}

fn texts(path: &Path) -> Result<Vec<String>, StoreError> {
    names(path, |entry| Some(entry.file_name().to_str()?.strip_suffix(".yml")?.to_owned()))
}

/// The names in a folder, in order; none if it is not there.
fn names(path: &Path, name: impl Fn(&fs::DirEntry) -> Option<String>) -> Result<Vec<String>, StoreError> {
    let failed = |source| StoreError::Io { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut names: Vec<String> = entries.iter().filter_map(name).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_published_is_found_by_every_reference_that_fits() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("orbs"));
        for version in ["1.2.3", "1.10.0", "dev:try"] {
            store.publish(&reference(&format!("acme/tools@{version}")), version).unwrap();
        }
        for (wanted, version) in
            [("1", "1.10.0"), ("1.2", "1.2.3"), ("volatile", "1.10.0"), ("dev:try", "dev:try")]
        {
            let orb = store.find(&reference(&format!("acme/tools@{wanted}"))).unwrap();
            assert_eq!((orb.version.as_str(), orb.source.as_str()), (version, version));
        }
        let listed: Vec<String> = store.list().unwrap().into_iter().map(|one| one.version).collect();
        assert_eq!(listed, ["1.10.0", "1.2.3", "dev:try"]);
    }

    #[test]
    fn a_published_version_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        store.publish(&reference("acme/tools@1.0.0"), "a").unwrap();
        store.publish(&reference("acme/tools@1.0.0"), "a").unwrap();
        let error = store.publish(&reference("acme/tools@1.0.0"), "b").unwrap_err();
        assert!(error.to_string().contains("published already"), "{error}");
        store.publish(&reference("acme/tools@dev:x"), "a").unwrap();
        store.publish(&reference("acme/tools@dev:x"), "b").unwrap();
        assert_eq!(store.find(&reference("acme/tools@dev:x")).unwrap().source, "b");
        let error = store.publish(&reference("acme/tools@1"), "a").unwrap_err();
        assert!(error.to_string().contains("no version to publish"), "{error}");
    }

    #[test]
    fn an_orb_that_is_not_there_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let missing = store.find(&reference("circleci/node@5")).unwrap_err();
        assert!(missing.reason.contains("no orb of this name"), "{}", missing.reason);
        assert!(missing.help.contains("`roundhouse orb import circleci/node@5`"), "{}", missing.help);
        store.publish(&reference("circleci/node@4.0.0"), "x").unwrap();
        assert!(store.find(&reference("circleci/node@5")).unwrap_err().reason.contains("has only 4.0.0"));
    }
}
