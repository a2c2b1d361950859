//! The accounts that an account has below it, by which it makes containers without root's rights: its lines in
//! `/etc/subuid` and `/etc/subgid`.

use super::{Account, AccountError, LOCK, field, run, turn};
use std::fs;

/// Where they are written down: for users, for groups.
const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];
/// So many are given: as many as `useradd` gives to people.
const COUNT: u64 = 65_536;
/// Not before this number, as `useradd` does.
const FIRST: u64 = 100_000;

impl Account {
    /// Which of the files gives it none; `None` where both give it some.
    pub fn without_subordinates(&self) -> Option<&'static str> {
        let has = |file: &&str| ranges(file).iter().any(|(owner, ..)| self.is_named(owner));
        FILES.into_iter().find(|file| !has(file))
    }

    /// Gives it some, above all that anybody has. Needs root's rights.
    pub fn give_subordinates(&self) -> Result<(), AccountError> {
        let _turn = turn().map_err(|source| AccountError::Lock { path: LOCK.into(), source })?;
        if self.without_subordinates().is_none() {
            return Ok(());
        }
        let first = free(FILES.into_iter().flat_map(ranges).map(|(_, first, count)| (first, count)));
        let range = format!("{first}-{}", first + COUNT - 1);
        let arguments = ["--add-subuids", &range, "--add-subgids", &range, "--", &self.name];
        let output = run("usermod", &arguments, &self.name)?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(AccountError::NotMade { name: self.name.clone(), message })
    }

    fn is_named(&self, owner: &str) -> bool {
        owner == self.name || owner.parse() == Ok(self.uid)
    }
}

/// The first number above all that are given.
fn free(given: impl Iterator<Item = (u64, u64)>) -> u64 {
    given.map(|(first, count)| first.saturating_add(count)).fold(FIRST, u64::max)
}

/// Owner, first number and count of each line.
fn ranges(file: &str) -> Vec<(String, u64, u64)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let read = |line: &str| {
        Some((field(line, 0).to_owned(), field(line, 1).parse().ok()?, field(line, 2).parse().ok()?))
    };
    text.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_lies_above_all_that_is_given() {
        assert_eq!(free([].into_iter()), FIRST);
        assert_eq!(free([(300_000, 65_536), (100_000, 65_536)].into_iter()), 365_536);
        assert_eq!(free([(5, 5)].into_iter()), FIRST);
    }

    #[test]
    fn an_account_of_the_pool_is_given_its_own() {
        if !Account::current().is_root() {
            return eprintln!("skipped: only root gives accounts anything");
        }
        let account = Account::pool(0).unwrap();
        account.give_subordinates().unwrap();
        assert_eq!(account.without_subordinates(), None);
        let of_it = || {
            FILES.map(|file| ranges(file).into_iter().filter(|(owner, ..)| *owner == account.name).count())
        };
        account.give_subordinates().unwrap();
        assert_eq!(of_it(), [1, 1], "given once");
    }
}
