//! The expressions by which runs are searched, as far as the command line writes them: `pipeline.git.branch == "main"
//! and pipeline.status == "failed"`. Whatever else is refused by name.

use super::phases::WORDS;

/// What runs are wanted; what is not named narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) branch: Option<String>,
    pub(super) revision: Option<String>,
    /// One of [`WORDS`].
    pub(super) status: Option<String>,
}

/// What can be asked for.
const NAMES: &str = "`pipeline.git.branch`, `pipeline.git.revision` and `pipeline.status`";

impl Filter {
    /// Why it cannot be read, with the place in bytes, is the error.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (mut filter, mut rest) = (Self::default(), text.trim());
        while !rest.is_empty() {
            let at = |rest: &str| text.trim_end().len() - rest.len();
            let (name, value, after) =
                term(rest).map_err(|(why, there)| format!("{why}, at byte {}", at(there)))?;
            filter.set(name, value)?;
            rest = match after.trim_start() {
                "" => "",
                more => more
                    .strip_prefix("and ")
                    .map(str::trim_start)
                    .filter(|more| !more.is_empty())
                    .ok_or_else(|| {
                        format!(
                            "only `and` joins what is asked for, and something follows it, at byte {}",
                            at(more)
                        )
                    })?,
            };
        }
        Ok(filter)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let place = match name {
            "pipeline.git.branch" => &mut self.branch,
            "pipeline.git.revision" => &mut self.revision,
            "pipeline.status" if WORDS.contains(&value.as_str()) => &mut self.status,
            "pipeline.status" => {
                return Err(format!("no run is `{value}`: they are one of {}", WORDS.join(", ")));
            }
            name => return Err(format!("`{name}` is not offered here: {NAMES} are")),
        };
        if place.is_some() {
            return Err(format!("`{name}` is asked for twice"));
        }
        *place = Some(value);
        Ok(())
    }
}

/// What is wrong, and what stands there.
type Wrong<'t> = (&'static str, &'t str);

/// A name, the value that it is to have, and what follows.
fn term(text: &str) -> Result<(&str, String, &str), Wrong<'_>> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let rest = rest
        .strip_prefix("==")
        .filter(|_| !name.is_empty())
        .ok_or(("what is asked for is written as `name == \"value\"`", rest))?;
    let (value, rest) = quoted(rest.trim_start())?;
    Ok((name, value, rest))
}

/// A text in quotation marks, without them, and what follows.
fn quoted(text: &str) -> Result<(String, &str), Wrong<'_>> {
    let open = ("a value stands in quotation marks", text);
    let (mut value, mut rest) = (String::new(), text.strip_prefix('"').ok_or(open)?);
    loop {
        let plain = rest.find(['"', '\\']).ok_or(open)?;
        value.push_str(&rest[..plain]);
        let mark = &rest[plain..];
        if let Some(after) = mark.strip_prefix('"') {
            return Ok((value, after));
        }
        let (c, after) = escaped(mark).ok_or(("this escape is not read here", mark))?;
        value.push(c);
        rest = after;
    }
}

/// A character behind a backslash.
fn escaped(text: &str) -> Option<(char, &str)> {
    let mut all = text.chars();
    let c = match (all.next()?, all.next()?) {
        ('\\', same @ ('"' | '\\')) => same,
        ('\\', 'n') => '\n',
        ('\\', 't') => '\t',
        ('\\', 'u') => return hexadecimal(all.as_str(), 4),
        ('\\', 'U') => return hexadecimal(all.as_str(), 8),
        _ => return None,
    };
    Some((c, all.as_str()))
}

fn hexadecimal(text: &str, digits: usize) -> Option<(char, &str)> {
    let number = text.get(..digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((char::from_u32(u32::from_str_radix(number, 16).ok()?)?, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn what_the_command_line_writes_is_read() {
        let read = |text: &str| Filter::read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(read("  "), Filter::default());
        let main = Filter { branch: some("main"), ..Filter::default() };
        assert_eq!(read(r#"pipeline.git.branch == "main""#), main);
        assert_eq!(read(r#" pipeline.git.branch=="main" "#), main);
        let both = Filter { status: some("failed"), ..main };
        assert_eq!(read(r#"pipeline.git.branch == "main" and pipeline.status == "failed""#), both);
        let revision = Filter { branch: some(r#"a "b" and \c é ☺"#), revision: some("f00"), status: None };
        let text = r#"pipeline.git.revision == "f00" and pipeline.git.branch == "a \"b\" and \\c \u00e9 \U0000263a""#;
        assert_eq!(read(text), revision);
    }

    #[test]
    fn whatever_else_is_refused_by_name() {
        for (text, why) in [
            (r#"pipeline.git.tag == "v1""#, "`pipeline.git.tag` is not offered here"),
            (r#"pipeline.status == "waiting""#, "no run is `waiting`: they are one of canceled, error"),
            (r#"pipeline.git.branch == "a" and pipeline.git.branch == "b""#, "is asked for twice"),
            (
                r#"pipeline.git.branch == "a" or pipeline.status == "failed""#,
                "only `and` joins what is asked for, and something follows it, at byte 27",
            ),
            (r#"pipeline.git.branch == "a" and"#, "only `and` joins"),
            (r#"pipeline.git.branch != "a""#, "`name == \"value\"`, at byte 20"),
            (r#"not (pipeline.status == "failed")"#, "`name == \"value\"`, at byte 4"),
            ("pipeline.git.branch == main", "quotation marks, at byte 23"),
            (r#"pipeline.git.branch == "main"#, "quotation marks"),
            (r#"pipeline.git.branch == "\x41""#, "this escape is not read here, at byte 24"),
            (r#"pipeline.git.branch == "\ud800""#, "this escape is not read here"),
            (r#"== "a""#, "`name == \"value\"`"),
        ] {
            let told = Filter::read(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
