//! JUnit reports, read tolerantly: whatever the many writers of this format agree on, and nothing more is demanded.
//!
//! `testsuites > testsuite > testcase`, at any depth, under one root or several; `failure` or `error` inside a test case
//! makes it fail, `skipped` skips it. A report that breaks off gives an error, and no test. Pure; reads hostile bytes.

mod attributes;
mod encoding;
mod report;

use protocol::transfer::TestCase;
use quick_xml::{Reader, events::Event};
use report::Report;

/// The most elements that may stand inside each other.
pub const MAX_DEPTH: usize = 64;
/// The most tests that are read of one report.
pub const MAX_CASES: usize = 200_000;
/// The longest message kept of a failure, in bytes.
pub const MAX_MESSAGE: usize = 4096;
/// The longest name of a test, class or file, in bytes.
pub const MAX_NAME: usize = 1024;

/// A file that is no JUnit report.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// It is not XML to its end.
    #[error("not well-formed XML near byte {at}: {cause}")]
    Xml {
        /// Where reading stopped.
        at: u64,
        /// As the parser has it.
        cause: String,
    },
    /// It ends inside an element.
    #[error("the report breaks off inside <{0}>")]
    Torn(String),
    /// It is XML, but nothing of it belongs to a report.
    #[error("it has no <testsuites>, <testsuite> or <testcase>: this is no JUnit report")]
    Foreign,
    /// It has too much in it.
    #[error("it has over {most} {what}, which is the limit")]
    TooMuch {
        /// How much there may be.
        most: usize,
        /// Of what.
        what: &'static str,
    },
    /// Its bytes are in an encoding that is not known here.
    #[error("its encoding `{0}` is not read here: write UTF-8, UTF-16, ISO-8859-1 or windows-1252")]
    Encoding(String),
}

/// The tests of one report, in its order.
pub fn read(xml: &[u8]) -> Result<Vec<TestCase>, JunitError> {
    let text = encoding::text(xml)?;
    let mut reader = Reader::from_str(&text);
    let mut report = Report::default();
    loop {
        let at = reader.buffer_position();
        match reader.read_event().map_err(|cause| JunitError::Xml { at, cause: cause.to_string() })? {
            Event::Start(tag) => report.open(&tag)?,
            Event::Empty(tag) => report.empty(&tag)?,
            Event::End(_) => report.close()?,
            Event::Text(text) => report.text(&text.xml10_content()),
            Event::CData(text) => report.text(&text.xml10_content()),
            Event::GeneralRef(reference) => report.text(&attributes::meaning(&reference)),
            Event::Eof => return report.finish(),
            _ => {}
        }
    }
}
