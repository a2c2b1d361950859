//! Source files as text: their functions, by the shape that rustfmt gives them, and the names they declare.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// From the project's root.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A function with a body.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Of its body.
    pub(crate) lines: usize,
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file's text.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All source files of the project.
pub(crate) fn files() -> Vec<File> {
    let mut found = Vec::new();
    ["src", "integration", "fuzz"].iter().for_each(|directory| collect(&root().join(directory), &mut found));
    found.sort();
    let file = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("source files are UTF-8");
        let path = path.strip_prefix(root()).expect("it was found below the root").display().to_string();
        File { path, text }
    };
    found.into_iter().map(file).collect()
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

impl File {
    /// Its lines.
    pub(crate) fn lines(&self) -> std::str::Lines<'_> {
        self.text.lines()
    }

    /// Its name without `.rs`.
    pub(crate) fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// Its lines by number, without comments and the contents of strings.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, String)> {
        (1..).zip(self.lines()).map(|(number, line)| (number, without_text(line)))
    }

    /// Its functions. rustfmt ends a body by a brace as far to the left as its `fn`.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let lines: Vec<_> = self.lines().collect();
        (0..lines.len()).filter_map(|start| function(&lines, start)).collect()
    }

    /// Names it declares, by line.
    pub(crate) fn declared(&self) -> Vec<(usize, String)> {
        let keywords = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static"];
        let declared = |(number, line): (usize, String)| {
            let words: Vec<_> = line.split_whitespace().collect();
            let place = words.iter().take(4).position(|word| keywords.contains(word))?;
            Some((number, name(words.get(place + 1)?)))
        };
        self.code().filter_map(declared).collect()
    }

    /// Comments that put something off.
    pub(crate) fn postponed(&self) -> Vec<String> {
        let put_off = |line: &str| {
            let comment =
                line.split_once("//").map(|(_, comment)| comment.to_lowercase()).unwrap_or_default();
            ["todo", "fixme", "xxx:", "hack:"].iter().any(|mark| comment.contains(mark))
        };
        let lines = (1..).zip(self.lines()).filter(|(_, line)| put_off(line));
        lines.map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim())).collect()
    }
}

fn function(lines: &[&str], start: usize) -> Option<Function> {
    let line = lines[start];
    let indent = line.len() - line.trim_start().len();
    let words: Vec<_> = line.split_whitespace().collect();
    let place = words.iter().take(5).position(|word| *word == "fn")?;
    let name = name(words.get(place + 1)?);
    let opens = start
        + lines[start..]
            .iter()
            .position(|line| line.ends_with('{') || line.ends_with(';') || line.ends_with('}'))?;
    if !lines[opens].ends_with('{') {
        return Some(Function { name, line: start + 1, lines: 1 }).filter(|_| lines[opens].ends_with('}'));
    }
    let close = format!("{}}}", " ".repeat(indent));
    let body = lines[opens + 1..].iter().position(|line| *line == close)?;
    Some(Function { name, line: start + 1, lines: body })
}

fn name(word: &str) -> String {
    word.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// A line without its comment, and with its strings empty.
fn without_text(line: &str) -> String {
    let (mut code, mut quoted, mut escaped) = (String::new(), false, false);
    let line = line.replace("'\"'", "").replace("b'\"'", "");
    for letter in line.chars() {
        if !quoted && letter == '/' && code.ends_with('/') {
            code.pop();
            break;
        }
        if letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = letter == '\\' && !escaped;
        if !quoted || letter == '"' {
            code.push(letter);
        }
    }
    code
}

/// The words of a name in any case.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter == '_' || letter == '-' || letter.is_uppercase() {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(letter.to_lowercase());
        }
    }
    words
}
