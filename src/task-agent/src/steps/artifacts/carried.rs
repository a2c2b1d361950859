//! Carrying files: a few threads open them with the job's rights and hand them over, and the log is told how far they are.

use super::{Upload, bundle::Bundle};
use crate::{
    carry::Carry,
    steps::{StepError, amount, open_regular},
};
use protocol::{
    frame::{Answer, Wanted},
    transfer::is_safe_path,
};
use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How many bundles and large files are on their way at once.
const IN_FLIGHT: usize = 16;
/// How many of them are bundles, which lie in memory.
const BUNDLES: usize = 4;
/// Larger files go alone.
const SMALL: u64 = 128 * 1024;
/// So many files, as their paths are sorted, share a bundle where they are small: the same directory makes the same
/// bundles again, and one that the project has is not sent again.
const RUN: usize = 512;
/// A file that changes while it is read is read so often.
const TRIES: usize = 3;
/// Between words of the progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// What came of all of them.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) notes: Vec<String>,
    pub(super) error: Option<StepError>,
    /// Threads that are at work.
    busy: usize,
}

/// What the threads share.
struct Desk<'d> {
    large: Mutex<std::slice::Iter<'d, Upload>>,
    /// Runs of small files.
    small: Mutex<std::slice::Chunks<'d, Upload>>,
    tally: Mutex<Tally>,
    changed: Condvar,
    carry: &'d dyn Carry,
}

/// A file that was opened.
enum Opened {
    /// With all that is in it.
    Small(File, Vec<u8>),
    Large(File, Metadata),
}

/// Carries all of them. What cannot be read is noted, what the machinery refuses ends it.
pub(super) fn upload(uploads: Vec<Upload>, carry: &dyn Carry, log: &mut dyn Write) -> io::Result<Tally> {
    let all = uploads.len();
    let is_small = |upload: &Upload| fs::metadata(&upload.file).is_ok_and(|about| about.len() <= SMALL);
    let (small, large): (Vec<_>, Vec<_>) = uploads.into_iter().partition(is_small);
    let runs = small.chunks(RUN);
    let workers = (large.len() + runs.len().min(BUNDLES)).min(IN_FLIGHT);
    let tally = Mutex::new(Tally { busy: workers, ..Tally::default() });
    let (large, small) = (Mutex::new(large.iter()), Mutex::new(runs));
    let desk = Desk { large, small, tally, changed: Condvar::new(), carry };
    let told = thread::scope(|scope| {
        for number in 0..workers {
            let desk = &desk;
            scope.spawn(move || {
                let _leaving = Leaving(desk);
                desk.work(number < BUNDLES);
            });
        }
        desk.tell_progress(all, log)
    });
    told?;
    Ok(desk.tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// However a thread ends, nobody waits for it any more.
struct Leaving<'l, 'd>(&'l Desk<'d>);

impl Drop for Leaving<'_, '_> {
    fn drop(&mut self) {
        self.0.tally().busy -= 1;
        self.0.changed.notify_all();
    }
}

impl Desk<'_> {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when all threads are done.
    fn tell_progress(&self, all: usize, log: &mut dyn Write) -> io::Result<()> {
        let mut told = 0;
        loop {
            let busy = |tally: &mut Tally| tally.busy > 0;
            let waited = self.changed.wait_timeout_while(self.tally(), PROGRESS, busy);
            let (files, bytes, busy) = {
                let tally = waited.unwrap_or_else(PoisonError::into_inner).0;
                (tally.files, tally.bytes, tally.busy)
            };
            if busy == 0 {
                return Ok(());
            }
            let bytes = bytes + self.carry.carried();
            if bytes > told {
                told = bytes;
                writeln!(log, "{files} of {all} files are stored, {} so far.", amount(bytes))?;
            }
        }
    }

    fn work(&self, makes_bundles: bool) {
        loop {
            let next = self.next(makes_bundles);
            let Some(run) = next.filter(|_| self.tally().error.is_none()) else { return };
            if let Err(error) = self.run(run) {
                self.tally().error.get_or_insert(error);
            }
        }
    }

    /// The large ones first: who comes last has little left to do.
    fn next(&self, makes_bundles: bool) -> Option<&[Upload]> {
        let large = self.large.lock().unwrap_or_else(PoisonError::into_inner).next();
        let small = || self.small.lock().unwrap_or_else(PoisonError::into_inner).next();
        large.map(std::slice::from_ref).or_else(|| makes_bundles.then(small).flatten())
    }

    /// An error ends it: a file that cannot be read is none.
    fn run(&self, run: &[Upload]) -> Result<(), StepError> {
        let (mut bundle, mut last) = (Bundle::new()?, None);
        for upload in run {
            if !is_safe_path(&upload.artifact) {
                return Err(StepError::Refused(format!("`{}` can be no artifact's path", upload.artifact)));
            }
            match self.open(upload) {
                Ok(Opened::Small(file, content)) => {
                    if !bundle.has_room(content.len()) {
                        self.send(std::mem::replace(&mut bundle, Bundle::new()?), last.take())?;
                    }
                    bundle.add(&upload.artifact, &content)?;
                    last = Some((upload, file));
                }
                Ok(Opened::Large(file, about)) => self.send_large(upload, file, &about)?,
                Err(error) => {
                    self.note(format!("{}: {error}: left out.", upload.file.display()));
                }
            }
        }
        self.send(bundle, last)
    }

    fn note(&self, note: String) {
        self.tally().notes.push(note);
    }

    fn stored(&self, files: usize, bytes: u64) {
        let mut tally = self.tally();
        (tally.files, tally.bytes) = (tally.files + files as u64, tally.bytes + bytes);
    }

    fn open(&self, upload: &Upload) -> io::Result<Opened> {
        let file = open_regular(&upload.file)?;
        let before = file.metadata()?;
        if before.len() > SMALL {
            return Ok(Opened::Large(file, before));
        }
        let mut content = Vec::new();
        (&file).take(SMALL + 1).read_to_end(&mut content)?;
        let after = file.metadata()?;
        if content.len() as u64 > SMALL {
            return Ok(Opened::Large(file, after));
        }
        if is_changed(&before, &after) {
            self.note(changed(upload));
        }
        Ok(Opened::Small(file, content))
    }

    /// A bundle of one is that file.
    fn send(&self, bundle: Bundle, last: Option<(&Upload, File)>) -> Result<(), StepError> {
        let (files, bytes) = (bundle.files(), bundle.contents() as u64);
        match last {
            None => Ok(()),
            Some((upload, file)) if files == 1 => {
                let about = file.metadata()?;
                self.send_large(upload, file, &about)
            }
            Some(_) => match self.carry.ask(Wanted::StoreBundle, Some(bundle.seal()?))?.0 {
                Answer::Stored { .. } => {
                    self.stored(files, bytes);
                    Ok(())
                }
                Answer::Refused { message } => {
                    Err(StepError::Refused(format!("{files} files together: {message}")))
                }
                other => Err(StepError::of_answer(other)),
            },
        }
    }

    /// By itself, whatever its size.
    fn send_large(&self, upload: &Upload, file: File, before: &Metadata) -> Result<(), StepError> {
        for _ in 0..TRIES {
            // As it is now: it may have become longer or shorter since the try before.
            let handed = open_regular(&upload.file).or_else(|_| file.try_clone())?;
            let wanted = Wanted::StoreArtifact { path: upload.artifact.clone() };
            match self.carry.ask(wanted, Some(handed))?.0 {
                Answer::Changed => {}
                Answer::Stored { size } => {
                    if is_changed(before, &file.metadata()?) {
                        self.note(changed(upload));
                    }
                    self.stored(1, size);
                    return Ok(());
                }
                Answer::Refused { message } => {
                    return Err(StepError::Refused(format!("{}: {message}", upload.artifact)));
                }
                other => return Err(StepError::of_answer(other)),
            }
        }
        self.note(format!("{} changed each time that it was read: left out.", upload.file.display()));
        Ok(())
    }
}

fn is_changed(before: &Metadata, after: &Metadata) -> bool {
    let moment = |about: &Metadata| (about.len(), about.mtime(), about.mtime_nsec());
    moment(before) != moment(after)
}

fn changed(upload: &Upload) -> String {
    format!("{} changed while it was stored: what was read of it is kept.", upload.file.display())
}
