//! `some x in y` where `y` has no elements: it holds for none at Open Policy Agent, and ends the evaluation in the engine. So
//! a policy's text goes through a function there before the engine has it; its lines stay where they are.

use crate::{evaluation, functions};

/// Before and behind what is gone through.
const AROUND: (&str, &str) = (" data.circleci.iteration.over(", ")");

/// The text as the engine is to have it.
pub(crate) fn tolerant(file: &str, text: &str) -> Result<String, String> {
    let mut engine = evaluation::engine();
    engine.add_policy(file.to_owned(), text.to_owned()).map_err(|error| crate::bundle::told(&error))?;
    let ranges = engine.get_modules().iter().flat_map(|module| functions::iterations(module));
    let mut places: Vec<_> = ranges.flat_map(|(start, end)| [(start, AROUND.0), (end, AROUND.1)]).collect();
    places.sort_by_key(|(at, _)| *at);
    let mut tolerant = text.to_owned();
    // From the last on, so that those before it stay where they are.
    for (at, word) in places.into_iter().rev() {
        tolerant.insert_str(at, word);
    }
    Ok(tolerant)
}

/// Where what is gone through begins, behind the word `in` that comes after this place.
pub(crate) fn behind_in(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = text.get(at..)?;
        let plain = rest.trim_start();
        at += rest.len() - plain.len();
        match plain.strip_prefix('#') {
            Some(comment) => at += 1 + comment.find('\n')?,
            None => break,
        }
    }
    let rest = text.get(at..)?.strip_prefix("in")?;
    let plain = rest.trim_start();
    // A bracket may follow at once.
    let is_word = rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
    (!is_word && !plain.starts_with('#')).then(|| text.len() - plain.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_through_goes_through_a_function_wherever_it_stands() {
        let text = "package org\nimport future.keywords\npolicy_name[\"p\"]\n\
                    r[x] { some x in input.a[_].b; some k, [v, w] in {\"ü\": [1, 2]}; x == k }\n\
                    s { some i in[1] with input as {}; y := {z | some z in {a | some a in input.b}} }\n";
        let found = tolerant("p.rego", text).unwrap().replace("data.circleci.iteration.", "");
        for part in [
            "some x in  over(input.a[_].b);",
            "some k, [v, w] in  over({\"ü\": [1, 2]});",
            "some i in over([1] )with input",
            "some z in  over({a | some a in  over(input.b)})}",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        assert_eq!(found.lines().count(), text.lines().count());
    }
}
