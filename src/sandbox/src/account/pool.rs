//! The accounts of one launch-agent: lent to its slots, and held against every other launch-agent of the host.
//!
//! An account is held by a lock on a file of its number, for as long as its holder lives; the file names the holder's
//! house. Where the holder was killed its task may still run: an account under which anything runs is not free either,
//! until the next life of that house has ended what runs there, or adopted it.

use super::{Account, AccountError, PREFIX, field, password_line};
use crate::contain::{Containment, Gone, Survivors, nobody_runs_as};
use rustix::fs::{FlockOperation, flock};
use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io::{self, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    },
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
    house: PathBuf,
    held: Mutex<BTreeMap<usize, Held>>,
}

/// An account that is ours until the lock is dropped.
#[derive(Debug)]
struct Held {
    account: Account,
    _lock: File,
}

/// An account under which somebody runs who is nobody's any more.
#[derive(Debug)]
pub struct Forsaken {
    uid: u32,
    _lock: File,
}

impl Forsaken {
    /// How many processes run under it.
    pub fn members(&self) -> usize {
        Containment::of_account(self.uid).members().len()
    }

    /// Kills everything under it.
    pub fn kill(&self, within: Duration) -> Result<Gone, Survivors> {
        Containment::of_account(self.uid).kill(within)
    }
}

impl Pool {
    /// The accounts that are lent to the tasks of this house, which is a directory.
    pub fn of_house(house: &Path) -> Self {
        Self::locked_in(Path::new(LOCKS), house)
    }

    fn locked_in(locks: &Path, house: &Path) -> Self {
        Self { locks: locks.to_owned(), house: house.to_owned(), held: Mutex::default() }
    }

    /// Accounts under which somebody runs though their last holder is dead: of this house, or of one that is not there any
    /// more. Not the `kept`; nor those of another house, whose next life comes back for them.
    pub fn forsaken(&self, kept: &[u32]) -> Vec<Forsaken> {
        let entries = std::fs::read_dir(&self.locks).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter_map(|number| self.forsaken_one(number, kept)).collect()
    }

    fn forsaken_one(&self, number: usize, kept: &[u32]) -> Option<Forsaken> {
        let name = format!("{PREFIX}{number}");
        let line = password_line(|fields| fields.first() == Some(&name.as_str()))?;
        let uid = field(&line, 2).parse().ok()?;
        if kept.contains(&uid) || nobody_runs_as(uid) {
            return None;
        }
        let mut lock = self.lock(number).ok()??;
        let mut house = String::new();
        lock.read_to_string(&mut house).ok()?;
        let is_nobodys =
            !house.is_empty() && (Path::new(&house) == self.house || !Path::new(&house).exists());
        is_nobodys.then_some(Forsaken { uid, _lock: lock })
    }

    /// The account is this house's from now on, also for whoever finds the lock without its holder.
    fn hold(&self, account: Account, lock: File) -> Held {
        // Where the disk takes no name, what is left behind stays until somebody looks at it.
        let _ = lock.set_len(0).and_then(|()| lock.write_all_at(self.house.as_os_str().as_bytes(), 0));
        Held { account, _lock: lock }
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
        Ok(nobody_runs_as(account.uid).then(|| self.hold(account, lock)))
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
        Some(self.hold(Account::pool(number).ok()?, lock))
    }

    /// None if somebody else holds it.
    fn lock(&self, number: usize) -> io::Result<Option<File>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.locks)?;
        let path = self.locks.join(number.to_string());
        let file =
            File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
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
    use std::{
        os::unix::process::{CommandExt, ExitStatusExt},
        process::Command,
    };

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
        let (one, other) = (
            Pool::locked_in(locks.path(), Path::new("/house")),
            Pool::locked_in(locks.path(), Path::new("/house")),
        );
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
        let before = Pool::locked_in(locks.path(), Path::new("/house"));
        let account = before.of_slot(0).unwrap();
        let of_task = || Containment::strongest("test", "a-task-of-no-process", Some(&account));
        let mut refused = of_task();
        Pool::locked_in(locks.path(), Path::new("/house")).take_again(0, &mut refused);
        assert_eq!(refused.account(), None, "it is held by another");
        drop(before);
        let (after, mut kept) = (Pool::locked_in(locks.path(), Path::new("/house")), of_task());
        after.take_again(3, &mut kept);
        assert_eq!((kept.account(), after.of_slot(3).unwrap().uid), (Some(account.uid), account.uid));
        kept.remove();
    }

    #[test]
    fn who_runs_for_a_dead_holder_is_nobodys_to_its_house_and_once_that_is_gone() {
        if !is_root() {
            return;
        }
        let (locks, house) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pool = |house: &Path| Pool::locked_in(locks.path(), house);
        let holder = pool(house.path());
        let account = holder.of_slot(0).unwrap();
        let mut left = Command::new("sleep").arg("1000").uid(account.uid).spawn().unwrap();
        assert!(pool(house.path()).forsaken(&[]).is_empty(), "its holder lives");
        drop(holder);
        assert!(pool(house.path()).forsaken(&[account.uid]).is_empty(), "it is kept");
        assert!(pool(Path::new("/another")).forsaken(&[]).is_empty(), "it is another's");
        let forsaken = pool(house.path()).forsaken(&[]);
        assert_eq!(forsaken.len(), 1);
        drop(forsaken);
        let path = house.path().to_owned();
        house.close().unwrap();
        let another = pool(Path::new("/another"));
        let _ = another.forsaken(&[])[0].kill(Duration::from_secs(5)).unwrap();
        assert!(left.wait().unwrap().signal() == Some(9) && pool(&path).forsaken(&[]).is_empty());
    }
}
