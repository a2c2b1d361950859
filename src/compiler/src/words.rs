//! A command written as one text: its words, as a shell splits them.

/// Words with white space between. Quotes of both kinds hold one together, and a backslash takes the next letter as it
/// is; nothing is expanded.
pub(crate) fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(letters.next()),
            (_, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_text_is_split_as_a_shell_does() {
        assert_eq!(split("redis-server --port 1"), ["redis-server", "--port", "1"]);
        assert_eq!(
            split(r#"sh -c "echo 'a  b'" '' c\ d "\"""#),
            ["sh", "-c", "echo 'a  b'", "", "c d", "\""]
        );
        assert_eq!(split("  "), Vec::<String>::new());
    }
}
