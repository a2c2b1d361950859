//! Showing a pipeline to whoever started it: which view, and what is told at the end.

use crate::{
    arguments::Output,
    artifacts::Places,
    connect::failed,
    failure::{Failure, OrFail},
    follow::{Company, Followed, Follower, Interrupts, Live, Plain, Stream, View, words::Paint},
    report::{self, Closing, Logs},
};
use client::Operator;
use protocol::{api::Created, api::PipelineView};
use std::{
    io::{self, BufWriter, IsTerminal, Write},
    time::Instant,
};

/// How a pipeline is shown, from when on, and where else it can be seen.
#[derive(Debug)]
pub(crate) struct Show {
    /// For people or for programs.
    pub(crate) output: Output,
    /// Whether standard error has the machinery's log, with which no live view goes together.
    pub(crate) verbose: bool,
    /// When it began.
    pub(crate) began: Instant,
    /// The address of the page, while it runs.
    pub(crate) page: Option<String>,
    /// How to see the page afterwards.
    pub(crate) page_afterwards: Option<String>,
}

impl Show {
    /// Shows a pipeline until it is over.
    pub(crate) async fn follow(
        &self,
        operator: &Operator,
        created: &Created,
        interrupts: &mut Interrupts,
        company: &dyn Company,
    ) -> Result<Followed, Failure> {
        for warning in &created.warnings {
            eprintln!("{}\n", warning.trim_end());
        }
        let mut view = ClosedAtTheEnd(self.view());
        let follower = Follower::begin(operator.clone(), created.id, self.page.as_deref(), &mut *view.0);
        follower.await.map_err(failed)?.follow(interrupts, company).await.map_err(failed)
    }

    fn view(&self) -> Box<dyn View> {
        let (out, err) = (io::stdout(), io::stderr());
        let live = |terminal: bool| terminal && !self.verbose && !is_dumb();
        match self.output {
            Output::Text if live(out.is_terminal()) => Box::new(Live::new(Stream::Output, Paint::of(&out))),
            Output::Text => Box::new(Plain::complete(BufWriter::new(io::stdout()), Paint::of(&out))),
            Output::Json if live(err.is_terminal()) => Box::new(Live::new(Stream::Error, Paint::of(&err))),
            Output::Json => Box::new(Plain::brief(BufWriter::new(io::stderr()), Paint::of(&err))),
        }
    }

    /// Copies the artifacts and tells what the pipeline came to.
    pub(crate) async fn conclude(
        &self,
        operator: &Operator,
        followed: &Followed,
        places: &Places,
    ) -> Result<u8, Failure> {
        let view = &followed.view;
        let copied = places.fill(operator, view).await;
        match self.output {
            Output::Json => {
                let mut logs = Logs::read(operator, view).await.map_err(failed)?;
                print_document(&report::document(view, &mut logs, places))?;
            }
            Output::Text => self.print_table(view, places),
        }
        copied?;
        Ok(report::exit_status(view, followed.interrupted))
    }

    fn print_table(&self, view: &PipelineView, places: &Places) {
        let closing = Closing {
            artifacts: places.folder(),
            page: self.page_afterwards.as_deref(),
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let text = report::table(view, closing, Paint::of(&io::stdout()));
        // Whoever closed the other end does not want it.
        let _ = io::stdout().lock().write_all(text.as_bytes());
    }
}

fn print_document(report: &protocol::run::RunReport) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut out, report).or_machinery("cannot write the document")?;
    out.write_all(b"\n").and_then(|()| out.flush()).or_machinery("cannot write the document")
}

/// Whatever ends the following, an error too, the terminal is left as it was.
struct ClosedAtTheEnd(Box<dyn View>);

impl Drop for ClosedAtTheEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}
