//! JUnit reports, read tolerantly: whatever the many writers of this format agree on, and nothing more is demanded.
//!
//! `testsuites > testsuite > testcase`, at any depth; `failure` or `error` inside a test case makes it fail, `skipped`
//! skips it. A report that breaks off gives an error, and no test.

use protocol::transfer::{TestCase, TestResult};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// The longest message kept of a failure, in bytes.
const MAX_MESSAGE: usize = 4096;

/// A file that is no JUnit report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JunitError {
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
}

/// The tests of one report, in its order.
pub(crate) fn read(xml: &[u8]) -> Result<Vec<TestCase>, JunitError> {
    let text = String::from_utf8_lossy(xml);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut report = Report::default();
    loop {
        let at = reader.buffer_position();
        match reader.read_event().map_err(|cause| JunitError::Xml { at, cause: cause.to_string() })? {
            Event::Start(tag) => report.open(&tag),
            Event::Empty(tag) => report.empty(&tag),
            Event::End(_) => report.close(),
            Event::Text(text) => report.text(&text.xml10_content()),
            Event::CData(text) => report.text(&text.xml10_content()),
            Event::Eof => return report.finish(),
            _ => {}
        }
    }
}

/// What was read so far: the open elements, the test among them, and the tests that are whole.
#[derive(Default)]
struct Report {
    open: Vec<Element>,
    test: Option<TestCase>,
    cases: Vec<TestCase>,
}

struct Element {
    name: String,
    /// A suite's `name` and `file`, which its tests fall back to.
    suite: Option<(String, Option<String>)>,
}

impl Report {
    fn empty(&mut self, tag: &BytesStart<'_>) {
        self.open(tag);
        self.close();
    }

    fn open(&mut self, tag: &BytesStart<'_>) {
        let name = local_name(tag);
        match name.as_str() {
            "testcase" => self.test = Some(self.case(tag)),
            "failure" | "error" => self.mark(TestResult::Failure, tag),
            "skipped" => self.mark(TestResult::Skipped, tag),
            _ => {}
        }
        let suite = (name == "testsuite")
            .then(|| (attribute(tag, "name").unwrap_or_default(), attribute(tag, "file")));
        self.open.push(Element { name, suite });
    }

    fn close(&mut self) {
        if self.open.pop().is_some_and(|element| element.name == "testcase") {
            self.cases.extend(self.test.take());
        }
    }

    fn case(&self, tag: &BytesStart<'_>) -> TestCase {
        let suite = self.open.iter().rev().find_map(|element| element.suite.as_ref());
        let seconds =
            attribute(tag, "time").and_then(|time| time.replace(',', "").parse().ok()).unwrap_or(0.0);
        TestCase {
            classname: attribute(tag, "classname")
                .or_else(|| suite.map(|(name, _)| name.clone()))
                .unwrap_or_default(),
            name: attribute(tag, "name").unwrap_or_default(),
            file: attribute(tag, "file").or_else(|| suite.and_then(|(_, file)| file.clone())),
            result: TestResult::Success,
            run_time: if f64::is_finite(seconds) { seconds } else { 0.0 },
            message: None,
        }
    }

    fn mark(&mut self, result: TestResult, tag: &BytesStart<'_>) {
        if let Some(test) = &mut self.test {
            test.result = result;
            test.message = attribute(tag, "message").or(test.message.take()).map(cut);
        }
    }

    /// The body of a failure stands in for a message that its attribute does not give.
    fn text(&mut self, text: &str) {
        let telling = self
            .open
            .last()
            .is_some_and(|element| matches!(element.name.as_str(), "failure" | "error" | "skipped"));
        if let (true, Some(test)) = (telling && !text.trim().is_empty(), &mut self.test) {
            test.message.get_or_insert_with(|| cut(text.trim().to_owned()));
        }
    }

    fn finish(self) -> Result<Vec<TestCase>, JunitError> {
        match self.open.last() {
            Some(element) => Err(JunitError::Torn(element.name.clone())),
            None => Ok(self.cases),
        }
    }
}

fn local_name(tag: &BytesStart<'_>) -> String {
    let name = tag.name().as_ref().to_string();
    name.rsplit(':').next().map(str::to_owned).unwrap_or(name)
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found =
        tag.attributes().with_checks(false).flatten().find(|attribute| attribute.key.as_ref() == name)?;
    let raw: &str = found.value.as_ref();
    Some(quick_xml::escape::unescape(raw).map_or_else(|_| raw.to_owned(), |value| value.into_owned()))
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(xml: &str, expect: &[(&str, &str, TestResult, Option<&str>)]) {
        let cases = read(xml.as_bytes()).unwrap();
        let seen: Vec<_> = cases
            .iter()
            .map(|c| (c.classname.as_str(), c.name.as_str(), c.result, c.message.as_deref()))
            .collect();
        assert_eq!(seen, expect);
    }

    #[test]
    fn a_report_tells_passed_failed_broken_and_skipped_tests() {
        check(
            r#"<?xml version="1.0"?><testsuites><testsuite name="s">
                 <testcase classname="c" name="ok" time="0.5"/>
                 <testcase classname="c" name="bad"><failure message="1 &lt; 2">trace</failure></testcase>
                 <testcase classname="c" name="broken"><error><![CDATA[boom & so]]></error></testcase>
                 <testcase name="later"><skipped/></testcase>
               </testsuite></testsuites>"#,
            &[
                ("c", "ok", TestResult::Success, None),
                ("c", "bad", TestResult::Failure, Some("1 < 2")),
                ("c", "broken", TestResult::Failure, Some("boom & so")),
                ("s", "later", TestResult::Skipped, None),
            ],
        );
    }

    #[test]
    fn a_bare_suite_and_nested_suites_are_read_alike() {
        check(
            r#"<testsuite name="a"><testsuite name="b"><testcase name="t"/></testsuite></testsuite>"#,
            &[("b", "t", TestResult::Success, None)],
        );
    }

    #[test]
    fn files_and_times_are_kept_where_the_report_has_them() {
        let xml = r#"<testsuite file="suite.py"><testcase name="t" time="1,200.5"/><testcase name="u" file="u.py" time="NaN"/></testsuite>"#;
        let cases = read(xml.as_bytes()).unwrap();
        assert_eq!((cases[0].file.as_deref(), cases[0].run_time), (Some("suite.py"), 1200.5));
        assert_eq!((cases[1].file.as_deref(), cases[1].run_time), (Some("u.py"), 0.0));
    }

    #[test]
    fn a_torn_report_is_an_error() {
        assert!(
            matches!(read(b"<testsuite><testcase name='t'>"), Err(JunitError::Torn(name)) if name == "testcase")
        );
        assert!(matches!(read(b"<testsuite></testcase>"), Err(JunitError::Xml { .. })));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let xml = format!("<testcase name='t'><failure>{}</failure></testcase>", "é".repeat(MAX_MESSAGE));
        let message = read(xml.as_bytes()).unwrap().remove(0).message.unwrap();
        assert!(message.len() <= MAX_MESSAGE + '…'.len_utf8() && message.ends_with('…'));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
