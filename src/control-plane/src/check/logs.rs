//! Whether the frames of logs are where the index says, and hold what it says.

use super::{Checking, missing};
use crate::{
    data_dir::{LOGS, STORE},
    logs,
};
use blobs::Scope;
use protocol::marks::Marks;
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use store::{ChunkRow, LogPlace, Look, StoreError};

/// Chunks of a log that are read at once.
const PAGE: u32 = 256;

impl Checking {
    pub(super) async fn log(&mut self, look: &mut Look, log: &LogPlace) -> Result<(), StoreError> {
        self.checked.logs += 1;
        let path = match &log.sealed {
            Some(object) => self.blobs.path(&Scope::logs(), &object.digest),
            None => logs::path_of(&self.data_dir.join(LOGS), log.task, log.step),
        };
        if log.sealed.is_none() && log.file_end.is_some() {
            self.files.insert((log.task, log.step));
        }
        match open(&path, log.file_end) {
            Ok(file) if self.deep => self.frames(look, log, (path, file)).await?,
            Ok(_) => {}
            // Found as a content already.
            Err(_) if log.sealed.is_some() => {}
            Err(fault) => self.find(&path, format!("{fault}; {} lies there", name(log))),
        }
        Ok(())
    }

    /// Opens every frame of a log.
    async fn frames(
        &mut self,
        look: &mut Look,
        log: &LogPlace,
        (path, file): (PathBuf, Option<File>),
    ) -> Result<(), StoreError> {
        let mut at = 0;
        loop {
            let page = look.chunks(log, at, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            at = last.start + u64::from(last.length);
            for chunk in page {
                if !are_sound(&chunk) {
                    let fault = format!("{} has damaged times at byte {}", name(log), chunk.start);
                    self.find(&self.data_dir.join(STORE), fault);
                }
                // A chunk without any frame was found as a fault of the index already.
                let Some(frame) = frame(&chunk, file.as_ref()) else { continue };
                let length = frame.ok().and_then(|frame| logs::raw_length(&frame));
                if length != Some(chunk.length as usize) {
                    let fault = format!("{} is damaged at byte {}", name(log), chunk.start);
                    self.find(&path, fault);
                }
            }
        }
    }
}

/// Whether its marks, if it has any, are some of its bytes.
fn are_sound(chunk: &ChunkRow) -> bool {
    let marks = chunk.marks.as_deref().map(Marks::from_bytes);
    marks.is_none_or(|marks| marks.is_some_and(|marks| marks.are_within(chunk.length)))
}

fn name(log: &LogPlace) -> String {
    format!("the log of step {} of task {}", log.step.0, log.task)
}

/// The file of a log whose frames end there, if any of them lie in one.
fn open(path: &Path, end: Option<u64>) -> Result<Option<File>, String> {
    let Some(end) = end else { return Ok(None) };
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((length, file)) if length >= end => Ok(Some(file)),
        Ok((length, _)) => Err(format!("has {length} bytes of {end}")),
        Err(error) => Err(missing(&error)),
    }
}

fn frame(chunk: &ChunkRow, file: Option<&File>) -> Option<io::Result<Vec<u8>>> {
    if let Some(frame) = &chunk.frame {
        return Some(Ok(frame.clone()));
    }
    let mut frame = vec![0; chunk.stored as usize];
    Some(file?.read_exact_at(&mut frame, chunk.file_offset?).map(|()| frame))
}
