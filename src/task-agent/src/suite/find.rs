//! The files and directories that a pattern names. `**` as a whole part of it is any number of directories, none of them
//! behind a symbolic link.

use super::pattern::{BadPattern, alternatives};
use crate::glob;
use std::{
    collections::BTreeSet,
    fs::{self, DirEntry},
    path::Path,
};

/// So many names one pattern may match.
const MOST: usize = 1_000_000;

/// What matches, as seen from this directory: sorted, each once.
pub(crate) fn matching(directory: &Path, pattern: &str) -> Result<Vec<String>, BadPattern> {
    let mut found = Found { directory, names: BTreeSet::new() };
    for pattern in alternatives(pattern)? {
        let mut parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        parts.dedup_by(|one, other| *one == "**" && *other == "**");
        let start = if pattern.starts_with('/') { "/" } else { "" };
        found.below(start, &parts);
    }
    if found.names.len() > MOST {
        return Err(BadPattern::TooMany(pattern.to_owned(), "1000000 matches"));
    }
    Ok(found.names.into_iter().collect())
}

struct Found<'d> {
    directory: &'d Path,
    names: BTreeSet<String>,
}

impl Found<'_> {
    /// What matches these parts below a directory that was found.
    fn below(&mut self, base: &str, parts: &[&str]) {
        if self.names.len() > MOST {
            return;
        }
        match parts {
            [] => {}
            ["**", rest @ ..] => self.anywhere(base, parts, rest),
            [part, rest @ ..] if !part.contains(['*', '?', '[', '\\']) => self.one(&join(base, part), rest),
            [part, rest @ ..] => {
                for entry in self.entries(base) {
                    let Ok(name) = entry.file_name().into_string() else { continue };
                    if glob::matches(part, &name) == Ok(true) {
                        self.one(&join(base, &name), rest);
                    }
                }
            }
        }
    }

    /// What matches the rest here, and the whole in every directory here.
    fn anywhere(&mut self, base: &str, parts: &[&str], rest: &[&str]) {
        self.below(base, rest);
        for entry in self.entries(base) {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = join(base, &name);
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.below(&path, parts);
            }
            if rest.is_empty() {
                self.names.insert(path);
            }
        }
    }

    fn one(&mut self, path: &str, rest: &[&str]) {
        if !rest.is_empty() {
            self.below(path, rest);
        } else if self.directory.join(path).symlink_metadata().is_ok() {
            self.names.insert(path.to_owned());
        }
    }

    /// None of a directory that cannot be read.
    fn entries(&self, base: &str) -> Vec<DirEntry> {
        fs::read_dir(self.directory.join(base)).map(|entries| entries.flatten().collect()).unwrap_or_default()
    }
}

fn join(base: &str, name: &str) -> String {
    match base {
        "" => name.to_owned(),
        "/" => format!("/{name}"),
        base => format!("{base}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "a.rb",
            "spec/b_spec.rb",
            "spec/x/c_spec.rb",
            "spec/x/c.txt",
            "spec/x/y/d_spec.rb",
            ".z/e_spec.rb",
        ] {
            fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            fs::write(root.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("..", root.path().join("spec/up")).unwrap();
        root
    }

    #[test]
    fn patterns_name_files_as_on_circleci() {
        let root = tree();
        for (pattern, expect) in [
            ("spec/**/*_spec.rb", &["spec/b_spec.rb", "spec/x/c_spec.rb", "spec/x/y/d_spec.rb"][..]),
            ("**/?_spec.rb", &[".z/e_spec.rb", "spec/b_spec.rb", "spec/x/c_spec.rb", "spec/x/y/d_spec.rb"]),
            ("**/**/y/*", &["spec/x/y/d_spec.rb"]),
            ("spec/x/**", &["spec/x/c.txt", "spec/x/c_spec.rb", "spec/x/y", "spec/x/y/d_spec.rb"]),
            ("./spec/x/c{.txt,_spec.rb}", &["spec/x/c.txt", "spec/x/c_spec.rb"]),
            ("spec/x/[cd].*", &["spec/x/c.txt"]),
            ("spec/x/[^c]*", &["spec/x/y"]),
            ("spec/**spec.rb", &["spec/b_spec.rb"]),
            ("{a.rb,nothing,a*}", &["a.rb"]),
            ("nothing/*", &[]),
        ] {
            assert_eq!(matching(root.path(), pattern).unwrap(), expect, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_from_the_top_names_from_the_top() {
        let root = tree();
        let pattern = format!("{}/spec/*.rb", root.path().display());
        assert_eq!(matching(Path::new("/"), &pattern).unwrap(), [pattern.replace('*', "b_spec")]);
    }
}
