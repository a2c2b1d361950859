//! `store_test_results`: JUnit reports, read with the job's rights and sent as plain records.

use crate::{
    carry::Carry,
    junit,
    place::Place,
    steps::{StepError, amount, open_regular},
};
use protocol::{
    frame::{Answer, Wanted},
    transfer::{TestCase, TestResult},
};
use std::{
    fs,
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The largest report that is read, in bytes.
const MAX_REPORT: u64 = 256 << 20;

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
    let mut cases = Vec::new();
    for report in &reports {
        match read(report) {
            Ok(mut more) => cases.append(&mut more),
            Err(why) => writeln!(log, "{}: {why}: left out.", report.display())?,
        }
    }
    send(&cases, place, carry)?;
    let failed = cases.iter().filter(|case| case.result == TestResult::Failure).count();
    Ok(writeln!(log, "Stored {} test results of {} reports, {failed} failed.", cases.len(), reports.len())?)
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

fn read(report: &Path) -> Result<Vec<TestCase>, String> {
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

fn send(cases: &[TestCase], place: &Place, carry: &dyn Carry) -> Result<(), StepError> {
    let mut lines = BufWriter::new(place.unnamed_file()?);
    for case in cases {
        serde_json::to_writer(&mut lines, case).map_err(io::Error::from)?;
        lines.write_all(b"\n")?;
    }
    let mut file = lines.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    match carry.ask(Wanted::StoreTestResults, Some(file))?.0 {
        Answer::Stored { .. } => Ok(()),
        other => Err(StepError::of_answer(other)),
    }
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
             Stored 2 test results of 3 reports, 1 failed.\n"
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
