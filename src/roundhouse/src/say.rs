//! What commands write to standard output and standard error: a reader that went away is no reason to panic.

use crate::failure::{Failure, OrFail};
use std::{
    fmt::Display,
    io::{self, BufWriter, Write},
    thread,
};
use tokio::sync::oneshot;

/// A line on standard error, for whoever reads it.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to be told.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A command's result on standard output; that nobody can read it is a failure.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write!(out, "{text}").and_then(|()| out.flush());
    written.or_machinery("cannot write to standard output")
}

/// Writes to standard output on a thread of its own, so that a reader that does not read keeps nobody waiting who can
/// be interrupted.
pub(crate) async fn written(
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new().name("output".to_owned()).spawn(move || {
        let mut out = BufWriter::new(io::stdout().lock());
        // Whoever was interrupted does not wait for this.
        let _ = tell.send(write(&mut out).and_then(|()| out.flush()));
    })?;
    told.await.map_err(io::Error::other)?
}
