//! Reports as the programs of this world write them, each of a small suite that was really run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::transfer::{TestCase, TestResult};
use std::fmt::Write;

const SAMPLES: [(&str, &str); 18] = [
    ("bats", include_str!("samples/bats.xml")),
    ("ctest", include_str!("samples/ctest.xml")),
    ("googletest", include_str!("samples/googletest.xml")),
    ("gotestsum", include_str!("samples/gotestsum.xml")),
    ("jest", include_str!("samples/jest.xml")),
    ("jest-with-files", include_str!("samples/jest-with-files.xml")),
    ("mocha-junit-reporter", include_str!("samples/mocha-junit-reporter.xml")),
    ("mocha-xunit", include_str!("samples/mocha-xunit.xml")),
    ("nextest", include_str!("samples/nextest.xml")),
    ("node", include_str!("samples/node.xml")),
    ("phpunit", include_str!("samples/phpunit.xml")),
    ("playwright", include_str!("samples/playwright.xml")),
    ("pytest", include_str!("samples/pytest.xml")),
    ("pytest-xunit1", include_str!("samples/pytest-xunit1.xml")),
    ("rspec", include_str!("samples/rspec.xml")),
    ("surefire", include_str!("samples/surefire.xml")),
    ("unittest", include_str!("samples/unittest.xml")),
    ("vitest", include_str!("samples/vitest.xml")),
];

fn shown(case: &TestCase) -> String {
    let mark = match case.result {
        TestResult::Success => '+',
        TestResult::Failure => '-',
        TestResult::Skipped => '.',
    };
    let time = case.run_time.map_or("?".to_owned(), |seconds| format!("{seconds}s"));
    let file = case.file.as_deref().unwrap_or("?");
    let mut shown = format!("{mark} {time} {file} | {} | {}\n", case.classname, case.name);
    for line in case.message.iter().flat_map(|message| message.lines()) {
        writeln!(shown, "    {line}").unwrap();
    }
    shown
}

#[test]
fn the_reports_of_known_programs_are_read_as_they_were_meant() {
    for (program, report) in SAMPLES {
        let cases = junit::read(report.as_bytes()).unwrap();
        insta::assert_snapshot!(program, cases.iter().map(shown).collect::<String>());
    }
}

#[test]
fn a_report_that_is_cut_anywhere_is_read_whole_or_not_at_all() {
    for (program, report) in SAMPLES {
        let whole = junit::read(report.as_bytes()).unwrap();
        for cut in (0..report.len()).filter(|cut| report.is_char_boundary(*cut)) {
            if let Ok(cases) = junit::read(&report.as_bytes()[..cut]) {
                assert_eq!(cases, whole, "{program} cut at {cut}");
            }
        }
    }
}
