//! Lists of tests: names apart by lines or spaces, and what results call the same tests.

use std::path::{Path, PathBuf};

/// A test as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// As it is given on.
    pub(crate) name: String,
    /// What results may call it.
    pub(crate) keys: Vec<String>,
}

/// Where names of files begin: results tell them from the job's working directory.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    directory: PathBuf,
    working: PathBuf,
}

impl Roots {
    /// Of a command in this directory, of a job in that one.
    pub(crate) fn new(directory: &Path, working: &Path) -> Self {
        let working = if working.is_absolute() { working } else { directory };
        Self { directory: directory.to_owned(), working: working.components().collect() }
    }

    /// The name itself, and as a path from the working directory.
    fn keys(&self, name: &str) -> Vec<String> {
        let mut plain = name;
        while let Some(rest) = plain.strip_prefix("./") {
            plain = rest.trim_start_matches('/');
        }
        let path = self.directory.join(plain);
        let from_working = path.strip_prefix(&self.working).ok().and_then(Path::to_str);
        let from_here = path.strip_prefix(&self.directory).ok().and_then(Path::to_str);
        let mut keys = vec![name.to_owned()];
        for key in [Some(plain), from_working, from_here].into_iter().flatten() {
            if !keys.iter().any(|known| known == key) {
                keys.push(key.to_owned());
            }
        }
        keys
    }
}

/// One a line.
pub(crate) fn lines(text: &str, roots: &Roots) -> Vec<Listed> {
    listed(text.lines().map(str::trim), roots)
}

/// Apart by lines or spaces.
pub(crate) fn words(text: &str, roots: &Roots) -> Vec<Listed> {
    listed(text.split_whitespace(), roots)
}

fn listed<'t>(names: impl Iterator<Item = &'t str>, roots: &Roots) -> Vec<Listed> {
    let some = names.filter(|name| !name.is_empty());
    some.map(|name| Listed { name: name.to_owned(), keys: roots.keys(name) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_by_itself_and_from_the_working_directory() {
        let roots = Roots::new(Path::new("/w/project/app"), Path::new("/w/project/"));
        for (name, keys) in [
            ("a_spec.rb", &["a_spec.rb", "app/a_spec.rb"][..]),
            ("./a_spec.rb", &["./a_spec.rb", "a_spec.rb", "app/a_spec.rb"]),
            ("/w/project/app/a.js", &["/w/project/app/a.js", "app/a.js", "a.js"]),
            ("/elsewhere/a.js", &["/elsewhere/a.js"]),
        ] {
            assert_eq!(roots.keys(name), keys, "{name}");
        }
    }

    #[test]
    fn lists_are_apart_by_lines_and_those_to_run_by_spaces_too() {
        let roots = Roots::new(Path::new("/w"), Path::new("/w"));
        let names = |listed: Vec<Listed>| listed.into_iter().map(|test| test.name).collect::<Vec<_>>();
        assert_eq!(names(lines("a b\r\n\n c\n", &roots)), ["a b", "c"]);
        assert_eq!(names(words("a b\r\n\n c\n", &roots)), ["a", "b", "c"]);
    }
}
