//! Path patterns as Go's `filepath.Match` reads them, which is how workspaces name what they persist.
//!
//! `*` any run without `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` classes, `\x` the character itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A pattern that cannot be read: an unclosed class, or a backslash at its end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the pattern `{0}` has an unclosed `[` or ends in `\\`")]
pub(crate) struct BadPattern(pub(crate) String);

enum Part {
    Star,
    Any,
    Class { negated: bool, ranges: Vec<(char, char)> },
    Exactly(char),
}

/// Whether the whole of `name` matches.
pub(crate) fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let parts = parse(pattern)?;
    let name: Vec<char> = name.chars().collect();
    Ok(fits(&parts, &name))
}

/// The existing paths below `root` that match, relative to it and sorted. A pattern without a special character names
/// one path; a leading `/` or `./` changes nothing.
pub(crate) fn expand(root: &Path, pattern: &str) -> Result<Vec<PathBuf>, BadPattern> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.split('/').filter(|part| !matches!(*part, "" | ".")) {
        parse(part)?;
        found = found.iter().flat_map(|base| step(root, base, part)).collect();
    }
    found.sort();
    Ok(found)
}

/// One component further: every entry of `base` whose name matches.
fn step(root: &Path, base: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains(['*', '?', '[', '\\']) {
        let exact = base.join(part);
        return if root.join(&exact).symlink_metadata().is_ok() { vec![exact] } else { Vec::new() };
    }
    let names = names(&root.join(base)).unwrap_or_default();
    names.iter().filter(|name| matches(part, name) == Ok(true)).map(|name| base.join(name)).collect()
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(directory)?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn parse(pattern: &str) -> Result<Vec<Part>, BadPattern> {
    let bad = || BadPattern(pattern.to_owned());
    let (mut parts, mut rest) = (Vec::new(), pattern.chars());
    while let Some(next) = rest.next() {
        parts.push(match next {
            '*' => Part::Star,
            '?' => Part::Any,
            '[' => class(&mut rest).ok_or_else(bad)?,
            '\\' => Part::Exactly(rest.next().ok_or_else(bad)?),
            literal => Part::Exactly(literal),
        });
    }
    Ok(parts)
}

fn class(rest: &mut std::str::Chars<'_>) -> Option<Part> {
    let negated = rest.as_str().starts_with('^');
    if negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match rest.next()? {
            ']' if !ranges.is_empty() => return Some(Part::Class { negated, ranges }),
            ']' | '-' => return None,
            '\\' => rest.next()?,
            plain => plain,
        };
        let high =
            if rest.as_str().starts_with('-') { rest.nth(1).filter(|high| *high != ']')? } else { low };
        ranges.push((low, high));
    }
}

/// Greedy with one point of return, so that no pattern takes more than quadratic time.
fn fits(parts: &[Part], name: &[char]) -> bool {
    let (mut part, mut at, mut back) = (0, 0, None);
    while at < name.len() {
        match parts.get(part) {
            Some(Part::Star) => {
                back = Some((part, at));
                part += 1;
            }
            Some(one) if one.takes(name[at]) => (part, at) = (part + 1, at + 1),
            _ => match back {
                Some((star, from)) if name[from] != '/' => {
                    back = Some((star, from + 1));
                    (part, at) = (star + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    parts[part..].iter().all(|part| matches!(part, Part::Star))
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match self {
            Part::Star => false,
            Part::Any => character != '/',
            Part::Exactly(wanted) => *wanted == character,
            Part::Class { negated, ranges } => {
                character != '/'
                    && ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_gos_own_table() {
        for (pattern, name, expect) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^e-g]", "abc", true),
            ("ab[^c]", "abc", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("*x", "xxx", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(expect), "{pattern} on {name}");
        }
    }

    #[test]
    fn an_unclosed_class_or_a_last_backslash_is_refused() {
        for pattern in ["[", "[^", "[]a]", "[-]", "[a-]", "a[", "a\\", "[a"] {
            assert!(matches(pattern, "a").is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_names_the_paths_that_exist() {
        let root = tempfile::tempdir().unwrap();
        for file in ["dist/a.js", "dist/b.js", "dist/b.css", "lib/a.js"] {
            fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            fs::write(root.path().join(file), "").unwrap();
        }
        let check = |pattern: &str, expect: &[&str]| {
            assert_eq!(
                expand(root.path(), pattern).unwrap(),
                expect.iter().map(PathBuf::from).collect::<Vec<_>>()
            );
        };
        check("dist/*.js", &["dist/a.js", "dist/b.js"]);
        check("*/a.js", &["dist/a.js", "lib/a.js"]);
        check("./dist/", &["dist"]);
        check(".", &[""]);
        check("missing", &[]);
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_matches_or_is_refused(pattern: String, name: String) {
            let _ = matches(&pattern, &name);
        }
    }
}
