//! What is read so far of a report: the open elements, the test among them, and the tests that are whole.

use crate::{
    JunitError, MAX_CASES, MAX_DEPTH, MAX_MESSAGE,
    attributes::{attribute, cut, local_name, name, seconds},
};
use protocol::transfer::{TestCase, TestResult};
use quick_xml::events::BytesStart;

/// A report that is being read.
#[derive(Default)]
pub(crate) struct Report {
    open: Vec<Element>,
    test: Option<Test>,
    cases: Vec<TestCase>,
    /// Whether anything of it belongs to a report.
    is_one: bool,
}

struct Element {
    name: String,
    what: What,
}

enum What {
    /// Its `name` and `file`, which its tests fall back to.
    Suite(Suite),
    Case,
    /// What it says belongs to the test's message.
    Verdict,
    Other,
}

struct Suite {
    name: String,
    file: Option<String>,
}

/// A test whose element is open.
struct Test {
    case: TestCase,
    /// What its verdicts say in their attributes, and in their bodies.
    said: String,
    told: String,
}

impl Report {
    pub(crate) fn empty(&mut self, tag: &BytesStart<'_>) -> Result<(), JunitError> {
        self.open(tag)?;
        self.close()
    }

    pub(crate) fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), JunitError> {
        if self.open.len() == MAX_DEPTH {
            return Err(JunitError::TooMuch { most: MAX_DEPTH, what: "elements inside each other" });
        }
        let name = local_name(tag);
        let what = self.what(&name, tag);
        self.is_one |= name == "testsuites" || matches!(what, What::Suite(_) | What::Case);
        self.open.push(Element { name, what });
        Ok(())
    }

    fn what(&mut self, element: &str, tag: &BytesStart<'_>) -> What {
        let is_verdict = matches!(self.open.last(), Some(Element { what: What::Case, .. }));
        match (element, &mut self.test) {
            ("testsuite", _) => {
                What::Suite(Suite { name: name(tag, "name").unwrap_or_default(), file: name(tag, "file") })
            }
            ("testcase", None) => {
                self.test = Some(Test::of(self.case(tag)));
                What::Case
            }
            ("failure" | "error", Some(test)) if is_verdict => test.judge(TestResult::Failure, tag),
            ("skipped", Some(test)) if is_verdict => test.judge(TestResult::Skipped, tag),
            _ => What::Other,
        }
    }

    pub(crate) fn close(&mut self) -> Result<(), JunitError> {
        let Some(Element { what: What::Case, .. }) = self.open.pop() else { return Ok(()) };
        if self.cases.len() == MAX_CASES {
            return Err(JunitError::TooMuch { most: MAX_CASES, what: "tests" });
        }
        self.cases.extend(self.test.take().map(Test::whole));
        Ok(())
    }

    fn case(&self, tag: &BytesStart<'_>) -> TestCase {
        let suites = || self.open.iter().rev().filter_map(Element::suite);
        let class = name(tag, "classname").or_else(|| name(tag, "class"));
        TestCase {
            classname: class.or_else(|| suites().next().map(|suite| suite.name.clone())).unwrap_or_default(),
            name: name(tag, "name").unwrap_or_default(),
            file: name(tag, "file").or_else(|| suites().find_map(|suite| suite.file.clone())),
            result: outright(tag),
            run_time: attribute(tag, "time").and_then(|time| seconds(&time)),
            message: None,
        }
    }

    /// Text in the body of a verdict.
    pub(crate) fn text(&mut self, text: &str) {
        if let (Some(Element { what: What::Verdict, .. }), Some(test)) = (self.open.last(), &mut self.test)
            && test.told.len() <= MAX_MESSAGE
        {
            test.told.push_str(&text[..text.floor_char_boundary(MAX_MESSAGE + 1)]);
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<TestCase>, JunitError> {
        match self.open.last() {
            Some(element) => Err(JunitError::Torn(element.name.clone())),
            None if self.is_one => Ok(self.cases),
            None => Err(JunitError::Foreign),
        }
    }
}

/// GoogleTest and CTest name tests that they left out in an attribute alone.
fn outright(tag: &BytesStart<'_>) -> TestResult {
    let left_out = |name, words: &[&str]| {
        attribute(tag, name).is_some_and(|said| words.contains(&said.to_ascii_lowercase().as_str()))
    };
    if left_out("status", &["notrun", "disabled", "skipped"])
        || left_out("result", &["skipped", "suppressed"])
    {
        TestResult::Skipped
    } else {
        TestResult::Success
    }
}

impl Element {
    fn suite(&self) -> Option<&Suite> {
        if let What::Suite(suite) = &self.what { Some(suite) } else { None }
    }
}

impl Test {
    fn of(case: TestCase) -> Self {
        Self { case, said: String::new(), told: String::new() }
    }

    /// One verdict of perhaps several: a failure stays one.
    fn judge(&mut self, result: TestResult, tag: &BytesStart<'_>) -> What {
        if self.case.result != TestResult::Failure {
            self.case.result = result;
        }
        for said in [&mut self.said, &mut self.told] {
            if !said.is_empty() {
                said.push('\n');
            }
        }
        if let Some(message) = attribute(tag, "message").filter(|_| self.said.len() <= MAX_MESSAGE) {
            self.said.push_str(&message);
        }
        What::Verdict
    }

    /// Most writers say in a verdict's body again what its attribute says, some only there what went wrong.
    fn whole(self) -> TestCase {
        let (said, told) = (self.said.trim(), self.told.trim());
        let message = match (said.is_empty(), told.is_empty()) {
            (true, true) => None,
            (false, true) => Some(said.to_owned()),
            (false, false) if !told.contains(said) => Some(format!("{said}\n{told}")),
            _ => Some(told.to_owned()),
        };
        TestCase { message: message.map(|message| cut(message, MAX_MESSAGE)), ..self.case }
    }
}
