//! `store_test_results`: JUnit reports, read with the job's rights and sent as plain records.

use crate::{
    carry::Carry,
    place::Place,
    steps::{StepError, amount, open_regular},
};
use protocol::{
    api::TestCounts,
    frame::{Answer, Wanted},
    transfer::{MAX_TESTS, TestCase, TestResult},
};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The largest report that is read, in bytes.
const MAX_REPORT: u64 = 256 << 20;
/// The most reports of one step.
const MAX_REPORTS: usize = 20_000;
/// The most bytes of messages that are sent: what is over them still counts.
const MAX_MESSAGES: usize = 8 << 20;

/// Stores the results of a report, or of every `.xml` file of a directory, hidden ones apart. What is no report is said
/// and passed over.
pub(crate) fn store(
    path: &str,
    place: &Place,
    carry: &dyn Carry,
    log: &mut dyn Write,
) -> Result<(), StepError> {
    let from = place.resolve(path);
    let reports = match reports(&from) {
        Ok(reports) if !reports.is_empty() => reports,
        Ok(_) => return Ok(writeln!(log, "No test results: {path} has no .xml file.")?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(writeln!(log, "No test results: {path} does not exist.")?);
        }
        Err(error) => return Err(StepError::file(from)(error)),
    };
    let mut results = Results::new(place.unnamed_file()?);
    let mut read = 0;
    for report in reports.iter().take(MAX_REPORTS) {
        match cases_of(report) {
            Ok(cases) => {
                read += 1;
                cases.into_iter().try_for_each(|case| results.add(case, place))?;
            }
            Err(why) => writeln!(log, "{}: {why}: left out.", report.display())?,
        }
    }
    let told = results.told(read, reports.len().saturating_sub(MAX_REPORTS));
    results.send(carry)?;
    Ok(log.write_all(told.as_bytes())?)
}

/// Results on their way, one a line.
struct Results {
    lines: BufWriter<File>,
    bytes: usize,
    messages: usize,
    counts: TestCounts,
    /// Of these the message does not go along, or nothing at all.
    without_message: u64,
    left_out: u64,
}

impl Results {
    fn new(file: File) -> Self {
        let lines = BufWriter::new(file);
        let counts = TestCounts::default();
        Self { lines, bytes: 0, messages: 0, counts, without_message: 0, left_out: 0 }
    }

    fn add(&mut self, mut case: TestCase, place: &Place) -> io::Result<()> {
        case.file = case.file.map(|file| in_project(&file, &place.working_directory));
        self.messages += case.message.as_ref().map_or(0, String::len);
        if self.messages > MAX_MESSAGES && case.message.take().is_some() {
            self.without_message += 1;
        }
        let mut line = serde_json::to_vec(&case).map_err(io::Error::from)?;
        line.push(b'\n');
        if self.bytes + line.len() > MAX_TESTS {
            self.left_out += 1;
            return Ok(());
        }
        self.bytes += line.len();
        match case.result {
            TestResult::Success => self.counts.passed += 1,
            TestResult::Failure => self.counts.failed += 1,
            TestResult::Skipped => self.counts.skipped += 1,
        }
        self.lines.write_all(&line)
    }

    fn told(&self, reports: usize, unread: usize) -> String {
        let TestCounts { passed, failed, skipped } = self.counts;
        let all = passed + failed + skipped;
        let mut told = format!(
            "Stored {all} test results of {reports} reports: {passed} passed, {failed} failed, {skipped} skipped.\n"
        );
        for (number, what, most) in
            [(self.without_message, "messages", MAX_MESSAGES), (self.left_out, "test results", MAX_TESTS)]
        {
            if number > 0 {
                let most = amount(most as u64);
                told += &format!("{number} {what} are left out: all together they are over {most}.\n");
            }
        }
        if unread > 0 {
            told += &format!("{unread} reports are left out: no more than {MAX_REPORTS} are read.\n");
        }
        told
    }

    fn send(self, carry: &dyn Carry) -> Result<(), StepError> {
        let mut file = self.lines.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        match carry.ask(Wanted::StoreTestResults, Some(file))?.0 {
            Answer::Stored { .. } => Ok(()),
            other => Err(StepError::of_answer(other)),
        }
    }
}

/// A file's path as a list of tests would name it: relative to the working directory, which lies elsewhere next time.
fn in_project(file: &str, working_directory: &Path) -> String {
    let below = Path::new(file).strip_prefix(working_directory).ok().and_then(Path::to_str);
    let mut plain = below.unwrap_or(file);
    while let Some(rest) = plain.strip_prefix("./") {
        plain = rest.trim_start_matches('/');
    }
    plain.to_owned()
}

fn reports(from: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(from)?.is_dir() {
        return Ok(vec![from.to_owned()]);
    }
    let (mut reports, mut left) = (Vec::new(), vec![from.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            match entry.file_type()? {
                kind if kind.is_dir() && !hidden => left.push(entry.path()),
                kind if kind.is_file() && is_xml(&entry.path()) => reports.push(entry.path()),
                _ => {}
            }
        }
    }
    reports.sort();
    Ok(reports)
}

fn is_xml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"))
}

fn cases_of(report: &Path) -> Result<Vec<TestCase>, String> {
    let file = open_regular(report).map_err(|error| error.to_string())?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_REPORT {
        return Err(format!("{} is over the limit of {}", amount(size), amount(MAX_REPORT)));
    }
    let mut xml = Vec::new();
    // It may grow while it is read.
    file.take(MAX_REPORT).read_to_end(&mut xml).map_err(|error| error.to_string())?;
    junit::read(&xml).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::{Scripted, place, told};

    #[test]
    fn the_reports_of_a_directory_are_sent_and_a_broken_one_is_said() {
        let root = tempfile::tempdir().unwrap();
        let (place, carry, mut log) = (place(root.path()), Scripted::default(), Vec::new());
        let results = root.path().join("project/results");
        fs::create_dir_all(results.join(".hidden")).unwrap();
        fs::create_dir_all(results.join("b")).unwrap();
        fs::write(results.join("a.xml"), "<testsuite><testcase name='t'/></testsuite>").unwrap();
        fs::write(results.join("b/b.XML"), "<testcase name='u'><failure/></testcase>").unwrap();
        fs::write(results.join("c.xml"), "<testsuite>").unwrap();
        fs::write(results.join(".hidden/d.xml"), "<testcase name='v'/>").unwrap();
        store("results", &place, &carry, &mut log).unwrap();
        let sent = String::from_utf8(carry.stored.lock().unwrap()["tests"].clone()).unwrap();
        assert_eq!(sent.lines().count(), 2);
        assert_eq!(
            told(&log, root.path()),
            "~/project/results/c.xml: the report breaks off inside <testsuite>: left out.\n\
             Stored 2 test results of 2 reports: 1 passed, 1 failed, 0 skipped.\n"
        );
    }

    #[test]
    fn no_report_is_said_and_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let (place, mut log) = (place(root.path()), Vec::new());
        for path in ["none", "~"] {
            store(path, &place, &Scripted::default(), &mut log).unwrap();
        }
        let expect = "No test results: none does not exist.\nNo test results: ~ has no .xml file.\n";
        assert_eq!(String::from_utf8(log).unwrap(), expect);
    }
}
