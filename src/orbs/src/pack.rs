//! A tree of files as one document: folders and files become keys, `@` files the folder around them, and
//! `<< include(file) >>` that file's text.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};
use yaml::{Diagnostic, Entry, Kind, Node, Span};

/// How deep folders may lie in one another.
const MAX_DEPTH: usize = 50;

/// Why a tree could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no YAML; each error is rendered with its place.
    #[error("{} is no YAML", path.display())]
    Yaml {
        /// Which.
        path: PathBuf,
        /// Rendered.
        diagnostics: Vec<String>,
    },
    /// A file that is merged into its folder is no map.
    #[error("{} must be a map: `@` files are merged into their folder", .0.display())]
    NoMap(PathBuf),
    /// Folders lie too deep in one another: a link leads back, perhaps.
    #[error("{} lies deeper than {MAX_DEPTH} folders", .0.display())]
    TooDeep(PathBuf),
    /// An include with something around it.
    #[error("`{0}`: an include must be the whole value")]
    PartialInclude(String),
    /// An include of what is not below the orb's folder.
    #[error("`{0}`: an include names a file below the orb's folder")]
    OutsideInclude(String),
}

/// The folder as one document; a file is its own.
pub fn pack(path: &Path) -> Result<String, PackError> {
    packed(path, 0).map(|node| yaml::write(&node))
}

/// The source of an orb: of a packed file as it is, of a folder packed with its includes filled in.
pub fn pack_orb(path: &Path) -> Result<String, PackError> {
    if !path.is_dir() {
        return read(path);
    }
    let node = packed(path, 0)?;
    included(&node, path).map(|node| yaml::write(&node))
}

fn read(path: &Path) -> Result<String, PackError> {
    fs::read_to_string(path).map_err(|source| PackError::Io { path: path.to_owned(), source })
}

fn packed(path: &Path, depth: usize) -> Result<Node, PackError> {
    if depth > MAX_DEPTH {
        return Err(PackError::TooDeep(path.to_owned()));
    }
    if !path.is_dir() {
        return parsed(path);
    }
    let mut entries: Vec<Entry> = Vec::new();
    for child in children(path)? {
        let name = child.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let node = packed(&child, depth + 1)?;
        match name.strip_prefix('@') {
            Some(_) if node.is_null() => {}
            Some(_) => merge(&mut entries, node.as_map().ok_or_else(|| PackError::NoMap(child.clone()))?),
            None if child.is_dir() && node.entries().is_empty() => {}
            None => merge(&mut entries, &[(Node::string(Span::default(), name), node)]),
        }
    }
    Ok(Node::map(Span::default(), entries))
}

/// What of a folder is packed: folders and YAML files that are not hidden, `@` files first.
fn children(path: &Path) -> Result<Vec<PathBuf>, PackError> {
    let failed = |source| PackError::Io { path: path.to_owned(), source };
    let entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut children: Vec<PathBuf> =
        entries.iter().map(fs::DirEntry::path).filter(|child| is_packed(child)).collect();
    children.sort_by_key(|child| (!file_name(child).starts_with('@'), child.clone()));
    Ok(children)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_packed(path: &Path) -> bool {
    let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    !file_name(path).starts_with('.') && (path.is_dir() || is_yaml)
}

fn parsed(path: &Path) -> Result<Node, PackError> {
    let text = read(path)?;
    let (node, said) = yaml::parse(&text);
    let errors = said.iter().filter(|one| one.is_error());
    let shown = path.display().to_string();
    let diagnostics: Vec<String> = errors.map(|one: &Diagnostic| yaml::render(one, &shown, &text)).collect();
    node.filter(|_| diagnostics.is_empty())
        .ok_or_else(|| PackError::Yaml { path: path.to_owned(), diagnostics })
}

/// Adds entries; maps of one name become one map.
fn merge(entries: &mut Vec<Entry>, more: &[Entry]) {
    for (key, value) in more {
        let Some(place) = entries.iter().position(|(own, _)| own.text() == key.text()) else {
            entries.push((key.clone(), value.clone()));
            continue;
        };
        let own = entries[place].1.clone();
        entries[place].1 = match (own.as_map(), value.as_map()) {
            (Some(own), Some(value)) => {
                let mut both = own.to_vec();
                merge(&mut both, value);
                Node::map(key.span, both)
            }
            _ => value.clone(),
        };
    }
}

/// The tree with the text of files in the place of their includes.
fn included(node: &Node, root: &Path) -> Result<Node, PackError> {
    match &node.kind {
        Kind::Scalar(_) => match node.as_str().map(|text| include(text, root)).transpose()?.flatten() {
            Some(text) => Ok(Node::string(node.span, text)),
            None => Ok(node.clone()),
        },
        Kind::Seq(items) => {
            let items = items.iter().map(|item| included(item, root)).collect::<Result<_, _>>()?;
            Ok(Node::seq(node.span, items))
        }
        Kind::Map(entries) => {
            let entry = |(key, value): &Entry| Ok((key.clone(), included(value, root)?));
            Ok(Node::map(node.span, entries.iter().map(entry).collect::<Result<_, PackError>>()?))
        }
    }
}

/// The text that an include stands for; none if this is no include.
fn include(text: &str, root: &Path) -> Result<Option<String>, PackError> {
    let Some(named) = included_name(text) else {
        let has_one =
            text.match_indices("<<").any(|(at, _)| text[at + 2..].trim_start().starts_with("include("));
        return if has_one { Err(PackError::PartialInclude(text.to_owned())) } else { Ok(None) };
    };
    let outside = || PackError::OutsideInclude(text.to_owned());
    if !stays_below(Path::new(named)) {
        return Err(outside());
    }
    let base = root.canonicalize().map_err(|_| outside())?;
    let path = root.join(named);
    let source = |source| PackError::Io { path: path.clone(), source };
    let found = path.canonicalize().map_err(source)?;
    if !found.starts_with(&base) {
        return Err(outside());
    }
    // What looks like a reference in a script is the script's own.
    Ok(Some(read(&found)?.replace("<<", "\\<<")))
}

/// Whether a path, as it is written, leads nowhere above where it begins, whether anything is there or not.
fn stays_below(path: &Path) -> bool {
    let step = |depth: usize, part: Component<'_>| match part {
        Component::Normal(_) => Some(depth + 1),
        Component::CurDir => Some(depth),
        Component::ParentDir => depth.checked_sub(1),
        Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().try_fold(0, step).is_some()
}

/// The name in `<< include(name) >>`.
fn included_name(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("<<")?.strip_suffix(">>")?.trim();
    let name = inside.strip_prefix("include(")?.strip_suffix(')')?.trim();
    (!name.contains(['(', ')', '<', '>'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn folders_and_files_become_keys() {
        let folder = tree(&[
            ("@config.yml", "version: 2.1\njobs: {first: {machine: true}}\n"),
            ("jobs/build.yml", "machine: true\nsteps: [checkout]\n"),
            ("commands/say.yaml", "steps: [run: hi]\n"),
            ("commands/@more.yml", "shout: {steps: [run: HI]}\n"),
            (".hidden.yml", "x: 1\n"),
            ("README.md", "# no\n"),
            ("empty/x.txt", ""),
        ]);
        let expect = "version: 2.1\njobs:\n  first:\n    machine: true\n  build:\n    machine: true\n    steps:\n    - checkout\n\
                      commands:\n  shout:\n    steps:\n    - run: HI\n  say:\n    steps:\n    - run: hi\n";
        assert_eq!(pack(folder.path()).unwrap(), expect);
    }

    #[test]
    fn an_orbs_includes_are_filled_in_and_their_references_escaped() {
        let folder = tree(&[
            ("@orb.yml", "version: 2.1\ndescription: x\n"),
            (
                "commands/go.yml",
                "steps:\n  - run: {command: << include(scripts/go.sh) >>, name: << parameters.n >>}\n",
            ),
            ("scripts/go.sh", "cat <<EOF\nx\nEOF\n"),
        ]);
        let source = pack_orb(folder.path()).unwrap();
        assert!(
            source.contains("command: |\n          cat \\<<EOF\n          x\n          EOF\n"),
            "{source}"
        );
        assert!(source.contains("name: << parameters.n >>"), "{source}");
    }

    #[test]
    fn wrong_includes_are_refused() {
        let wrong = |value: &str| {
            let folder = tree(&[("commands/go.yml", &format!("steps: [run: '{value}']\n"))]);
            pack_orb(folder.path()).unwrap_err().to_string()
        };
        assert!(wrong("x << include(a.sh) >>").contains("whole value"));
        assert!(wrong("<< include(../../../../../../etc/passwd) >>").contains("below the orb"));
        assert!(wrong("<<include(/etc/passwd)>>").contains("below the orb"));
        assert!(wrong("<< include(../none.sh) >>").contains("below the orb"));
        assert!(wrong("<< include(commands/../../none.sh) >>").contains("below the orb"));
        assert!(wrong("<< include(/nowhere/none.sh) >>").contains("below the orb"));
        assert!(wrong("<< include(commands/../none.sh) >>").contains("cannot read"));
        assert!(wrong("<< include(none.sh) >>").contains("cannot read"));
    }

    #[test]
    fn a_file_that_is_no_yaml_is_shown_at_its_place() {
        let folder = tree(&[("jobs/a.yml", "x: [\n")]);
        let PackError::Yaml { diagnostics, .. } = pack(folder.path()).unwrap_err() else { panic!() };
        assert!(diagnostics[0].contains("a.yml:"), "{diagnostics:?}");
    }
}
