//! The accounts of one launch-agent: lent to its slots, and held against every other launch-agent of the host.
//!
//! An account is held by a lock on a file of its number, for as long as its holder lives. Where the holder was killed its
//! task may still run: an account under which anything runs is not free either.

use super::{Account, AccountError, PREFIX, field, password_line};
use crate::contain::{Containment, nobody_runs_as};
use rustix::fs::{FlockOperation, flock};
use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// Where the locks lie.
const LOCKS: &str = "/run/roundhouse-accounts";
/// How often, and after what time, a lock is looked at again that somebody holds although the account is in use.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(10);
/// More accounts than any host has room for.
const MOST: usize = 100_000;

/// The accounts of one launch-agent, by slot.
#[derive(Debug)]
pub struct Pool {
    locks: PathBuf,
    held: Mutex<BTreeMap<usize, Held>>,
}

/// An account that is ours until the lock is dropped.
#[derive(Debug)]
struct Held {
    account: Account,
    _lock: File,
}

impl Default for Pool {
    fn default() -> Self {
        Self::locked_in(Path::new(LOCKS))
    }
}

impl Pool {
    fn locked_in(locks: &Path) -> Self {
        Self { locks: locks.to_owned(), held: Mutex::default() }
    }

    /// The account of a slot, the same one each time: nobody else on this host has it.
    pub fn of_slot(&self, slot: usize) -> Result<Account, AccountError> {
        let mut held = self.held();
        if let Some(held) = held.get(&slot) {
            return Ok(held.account.clone());
        }
        for number in slot..MOST {
            if let Some(free) = self.free(number)? {
                let account = free.account.clone();
                held.insert(slot, free);
                return Ok(account);
            }
        }
        let message = "all are in use".to_owned();
        Err(AccountError::NotMade { name: format!("roundhouse-{slot}"), message })
    }

    /// Holds the account of a task of an earlier life again. If somebody else has it by now, nothing of the task runs
    /// under it any more, and the containment lets it alone.
    pub fn take_again(&self, slot: usize, containment: &mut Containment) {
        let Some(uid) = containment.account() else { return };
        let mut held = self.held();
        if held.get(&slot).is_some_and(|held| held.account.uid == uid) {
            return;
        }
        match self.named(uid) {
            Some(again) => drop(held.insert(slot, again)),
            None => containment.without_account(),
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<usize, Held>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn free(&self, number: usize) -> Result<Option<Held>, AccountError> {
        let failed = |source| AccountError::Lock { path: self.locks.join(number.to_string()), source };
        let Some(lock) = self.lock(number).map_err(failed)? else { return Ok(None) };
        let account = Account::pool(number)?;
        Ok(nobody_runs_as(account.uid).then_some(Held { account, _lock: lock }))
    }

    fn named(&self, uid: u32) -> Option<Held> {
        let line = password_line(|fields| fields.get(2) == Some(&uid.to_string().as_str()))?;
        let number = field(&line, 0).strip_prefix(PREFIX)?.parse().ok()?;
        let mut lock = self.lock(number).ok()?;
        for _ in 0..LOOKS {
            if lock.is_some() || nobody_runs_as(uid) {
                break;
            }
            // Whoever looks for a free account holds the lock for as long as it takes to see that this one is not.
            std::thread::sleep(LOOK);
            lock = self.lock(number).ok()?;
        }
        let lock = lock?;
        Some(Held { account: Account::pool(number).ok()?, _lock: lock })
    }

    /// None if somebody else holds it.
    fn lock(&self, number: usize) -> io::Result<Option<File>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.locks)?;
        let path = self.locks.join(number.to_string());
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where this is not root's, there are no accounts to lend.
    fn is_root() -> bool {
        let is_root = Account::current().is_root();
        if !is_root {
            eprintln!("skipped: making accounts needs root");
        }
        is_root
    }

    #[test]
    fn two_launch_agents_of_one_host_never_have_the_same_account() {
        if !is_root() {
            return;
        }
        let locks = tempfile::tempdir().unwrap();
        let (one, other) = (Pool::locked_in(locks.path()), Pool::locked_in(locks.path()));
        let first = one.of_slot(0).unwrap();
        assert_eq!(one.of_slot(0).unwrap(), first, "a slot keeps its account");
        let second = other.of_slot(0).unwrap();
        assert_ne!(first, second);
        assert_ne!(one.of_slot(1).unwrap(), second);
    }

    #[test]
    fn an_adopted_task_has_its_account_again_unless_somebody_else_has_it() {
        if !is_root() {
            return;
        }
        let locks = tempfile::tempdir().unwrap();
        let before = Pool::locked_in(locks.path());
        let account = before.of_slot(0).unwrap();
        let of_task = || Containment::strongest("a-task-of-no-process", Some(&account));
        let mut refused = of_task();
        Pool::locked_in(locks.path()).take_again(0, &mut refused);
        assert_eq!(refused.account(), None, "it is held by another");
        drop(before);
        let (after, mut kept) = (Pool::locked_in(locks.path()), of_task());
        after.take_again(3, &mut kept);
        assert_eq!((kept.account(), after.of_slot(3).unwrap().uid), (Some(account.uid), account.uid));
        kept.remove();
    }
}
