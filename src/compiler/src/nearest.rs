//! The name that somebody may have meant.

/// The candidate that is fewest edits away from `name`, if those are few enough to be a slip of the hand.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    // In a very short name every edit makes another name.
    let allowed = (name.chars().count() / 3).min(3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST && *candidate != name)
        .map(|candidate| (edits(&folded(name), &folded(candidate)), candidate))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Hyphens and underscores, capital and small letters are taken for one another.
fn folded(name: &str) -> Vec<char> {
    name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_find_their_name() {
        let names = ["checkout", "save_cache", "restore_cache", "run"];
        assert_eq!(nearest("chekcout", names), Some("checkout"));
        assert_eq!(nearest("restore-cache", names), Some("restore_cache"));
        assert_eq!(nearest("rnu", names), Some("run"));
        assert_eq!(nearest("deploy", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("w", ["v", "W"]), Some("W"));
    }
}
