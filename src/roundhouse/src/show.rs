//! Showing a pipeline to whoever started it: which view, and what is told at the end.

use crate::{
    arguments::Output,
    artifacts::Places,
    connect::failed,
    failure::{Failure, OrFail},
    follow::{
        Approvals, Company, Followed, Follower, Interrupts, Live, Outlet, Plain, Stream, View, words::Paint,
    },
    report::{self, Closing, Logs},
    say,
};
use client::Operator;
use protocol::{WorkflowId, api::Created, api::PipelineView, exit};
use std::{
    io::{self, BufWriter, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Who interrupted twice waits no longer than this for what is told at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Lines are handed on in parts of this size.
const PART: usize = 1 << 16;

/// How a pipeline is shown, from when on, and where else it can be seen.
#[derive(Debug)]
pub(crate) struct Show {
    /// The one workflow that is shown, if not all are.
    pub(crate) only: Option<WorkflowId>,
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
    /// How jobs are approved.
    pub(crate) approvals: Approvals,
}

impl Show {
    /// Shows a pipeline until it is over.
    pub(crate) async fn follow(
        &self,
        operator: &Operator,
        created: &Created,
        interrupts: &mut Interrupts,
        company: &dyn Company,
    ) -> Result<Option<Followed>, Failure> {
        for warning in &created.warnings {
            say::note(format_args!("{}\n", warning.trim_end()));
        }
        let (view, outlet) = self.view()?;
        let mut view = ClosedAtTheEnd(view);
        let follower =
            Follower::begin(operator.clone(), (created.id, self.only), self.page.as_deref(), &mut *view.0);
        let follower = follower.await.map_err(failed)?.through(outlet).approving(&self.approvals.ahead);
        follower.follow(interrupts, company).await.map_err(failed)
    }

    fn view(&self) -> Result<(Box<dyn View>, Option<Outlet>), Failure> {
        let (out, err) = (io::stdout(), io::stderr());
        let reach = &self.approvals.reach;
        let live = |terminal: bool| terminal && !self.verbose && !is_dumb();
        Ok(match self.output {
            Output::Text if live(out.is_terminal()) => {
                (Box::new(Live::new(Stream::Output, Paint::of(&out), reach)), None)
            }
            Output::Text => {
                let (paint, is_terminal) = (Paint::of(&out), out.is_terminal());
                let outlet = Outlet::to(out).or_machinery("cannot start a thread")?;
                let lines = BufWriter::with_capacity(PART, outlet.clone());
                (Box::new(Plain::complete(lines, paint, reach).on_terminal(is_terminal)), Some(outlet))
            }
            Output::Json if live(err.is_terminal()) => {
                (Box::new(Live::new(Stream::Error, Paint::of(&err), reach)), None)
            }
            Output::Json => {
                (Box::new(Plain::brief(BufWriter::new(io::stderr()), Paint::of(&err), reach)), None)
            }
        })
    }

    /// Copies the artifacts and tells what the pipeline came to, unless somebody interrupts that.
    pub(crate) async fn conclude(
        &self,
        operator: &Operator,
        followed: &Followed,
        places: &Places,
        interrupts: &mut Interrupts,
    ) -> Result<u8, Failure> {
        let is_hurried = interrupts.seen() > 1;
        tokio::select! {
            status = self.tell_end(operator, followed, places) => status,
            _ = interrupts.next() => Ok(exit::INTERRUPTED),
            () = tokio::time::sleep(LAST_WORDS), if is_hurried => Ok(exit::INTERRUPTED),
        }
    }

    async fn tell_end(
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
                print_document(report::document(view, &mut logs, places)).await?;
            }
            Output::Text => self.print_table(view, places).await,
        }
        copied?;
        Ok(report::exit_status(view, followed.interrupted))
    }

    async fn print_table(&self, view: &PipelineView, places: &Places) {
        let closing = Closing {
            artifacts: places.folder(),
            page: self.page_afterwards.as_deref(),
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let text = report::table(view, closing, Paint::of(&io::stdout()));
        // Whoever closed the other end does not want it.
        let _ = say::written(move |out| out.write_all(text.as_bytes())).await;
    }
}

async fn print_document(report: protocol::run::RunReport) -> Result<(), Failure> {
    let document = move |out: &mut dyn Write| {
        serde_json::to_writer(&mut *out, &report)?;
        out.write_all(b"\n")
    };
    say::written(document).await.or_machinery("cannot write the document")
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
