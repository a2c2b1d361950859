//! A stream for the lines of a run, written by a thread of its own: a reader that does not read keeps no interrupt
//! waiting.

use std::{
    cell::Cell,
    io::{self, Write},
    rc::Rc,
    sync::mpsc,
    thread,
};
use tokio::sync::watch;

/// While more than this waits to be written, no more of a log is fetched.
const MOST: u64 = 1 << 20;

/// The way to a stream that may be slow or closed.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    parts: mpsc::Sender<Vec<u8>>,
    given: Rc<Cell<u64>>,
    written: watch::Receiver<u64>,
}

impl Outlet {
    /// Starts the thread that writes.
    pub(crate) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (parts, coming) = mpsc::channel();
        let (tell, written) = watch::channel(0);
        thread::Builder::new().name("output".to_owned()).spawn(move || write_all(out, &coming, &tell))?;
        Ok(Self { parts, given: Rc::default(), written })
    }

    /// Waits until little waits to be written.
    pub(crate) async fn has_room(&self) {
        self.waits_for_at_most(MOST).await;
    }

    /// Waits until nothing does.
    pub(crate) async fn is_empty(&self) {
        self.waits_for_at_most(0).await;
    }

    async fn waits_for_at_most(&self, most: u64) {
        let given = self.given.get();
        // The thread lives as long as this.
        let _ = self.written.clone().wait_for(|written| given - written <= most).await;
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.parts.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.given.set(self.given.get() + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Who closed the other end does not want the rest, and the run goes on for its other results.
fn write_all(mut out: impl Write, coming: &mpsc::Receiver<Vec<u8>>, tell: &watch::Sender<u64>) {
    let mut is_open = true;
    for part in coming {
        is_open = is_open && out.write_all(&part).and_then(|()| out.flush()).is_ok();
        tell.send_modify(|written| *written += part.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, time::Duration};

    const SOON: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_reader_that_does_not_read_keeps_nobody_waiting_who_gives() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut outlet = Outlet::to(writer).unwrap();
        outlet.write_all(&vec![b'x'; 2 * MOST as usize]).unwrap();
        tokio::time::timeout(SHORT, outlet.has_room()).await.unwrap_err();
        let read = thread::spawn(move || reader.read_exact(&mut vec![0; 2 * MOST as usize]));
        tokio::time::timeout(SOON, outlet.is_empty()).await.unwrap();
        read.join().unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_a_closed_stream_does_not_take_counts_as_written() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut outlet = Outlet::to(writer).unwrap();
        outlet.write_all(&vec![b'x'; 2 * MOST as usize]).unwrap();
        tokio::time::timeout(SOON, outlet.is_empty()).await.unwrap();
    }
}
