//! What reports may look like, and what is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use junit::{JunitError, MAX_CASES, MAX_DEPTH, MAX_MESSAGE, read};
use protocol::transfer::TestResult::{self, Failure, Skipped, Success};

#[track_caller]
fn check(xml: &str, expect: &[(&str, &str, TestResult, Option<&str>)]) {
    let cases = read(xml.as_bytes()).unwrap();
    let seen: Vec<_> = cases
        .iter()
        .map(|case| (case.classname.as_str(), case.name.as_str(), case.result, case.message.as_deref()))
        .collect();
    assert_eq!(seen, expect);
}

#[test]
fn a_report_tells_passed_failed_broken_and_skipped_tests() {
    check(
        r#"<?xml version="1.0"?><testsuites><testsuite name="s">
             <testcase classname="c" name="ok" time="0.5"/>
             <testcase classname="c" name="bad"><failure message="1 &lt; 2">trace &amp; more</failure></testcase>
             <testcase classname="c" name="broken"><error><![CDATA[boom & so]]></error></testcase>
             <testcase name="later"><skipped/></testcase>
           </testsuite></testsuites>"#,
        &[
            ("c", "ok", Success, None),
            ("c", "bad", Failure, Some("1 < 2\ntrace & more")),
            ("c", "broken", Failure, Some("boom & so")),
            ("s", "later", Skipped, None),
        ],
    );
}

#[test]
fn a_body_that_says_the_message_again_is_the_message() {
    check(
        "<testcase name='t'><failure message='no &lt;a&gt;'>Error: no &lt;a&gt;\n  at line 1</failure></testcase>",
        &[("", "t", Failure, Some("Error: no <a>\n  at line 1"))],
    );
}

#[test]
fn a_failure_stays_one_whatever_else_is_said_of_a_test() {
    check(
        "<testcase name='t'><failure message='a'/><skipped message='b'/><error message='c'/></testcase>",
        &[("", "t", Failure, Some("a\nb\nc"))],
    );
}

#[test]
fn what_a_retried_test_says_of_its_earlier_tries_is_no_failure_of_it() {
    check(
        "<testcase name='t'><flakyFailure message='a'>b<failure>c</failure></flakyFailure></testcase>",
        &[("", "t", Success, None)],
    );
}

#[test]
fn suites_are_read_bare_nested_prefixed_and_several_in_one_file() {
    check(
        r#"<testsuite name="a"><testsuite name="b"><testcase name="t"/></testsuite></testsuite>
           <?xml version="1.0"?><j:testsuite xmlns:j="urn:x" name="c"><j:testcase name="u"/></j:testsuite>"#,
        &[("b", "t", Success, None), ("c", "u", Success, None)],
    );
}

#[test]
fn a_test_has_its_own_file_or_that_of_the_nearest_suite_that_names_one() {
    let xml = r#"<testsuite file="suite.py"><testsuite name="inner"><testcase name="t" time="1,200.5"/></testsuite>
                 <testcase name="u" file="u.py" time="NaN"/><testcase name="v"/></testsuite>"#;
    let cases = read(xml.as_bytes()).unwrap();
    let seen: Vec<_> = cases.iter().map(|case| (case.file.as_deref(), case.run_time)).collect();
    assert_eq!(seen, [(Some("suite.py"), Some(1200.5)), (Some("u.py"), None), (Some("suite.py"), None)]);
}

#[test]
fn what_is_no_report_to_its_end_is_an_error() {
    let error = |xml: &str| read(xml.as_bytes()).unwrap_err();
    assert!(matches!(error("<testsuite><testcase name='t'>"), JunitError::Torn(name) if name == "testcase"));
    assert!(matches!(error("<testsuite></testcase>"), JunitError::Xml { .. }));
    for foreign in ["", "  ", "{}", "<project><test/></project>"] {
        assert!(matches!(error(foreign), JunitError::Foreign), "{foreign}");
    }
    assert_eq!(read(b"<testsuites/>").unwrap(), []);
}

#[test]
fn a_report_without_end_is_refused_by_what_it_has_too_much_of() {
    let deep = "<testsuite>".repeat(MAX_DEPTH + 1);
    let many = "<testcase/>".repeat(MAX_CASES + 1);
    let refused = [deep, many].map(|xml| read(xml.as_bytes()).unwrap_err().to_string());
    assert_eq!(
        refused,
        [
            "it has over 64 elements inside each other, which is the limit",
            "it has over 200000 tests, which is the limit"
        ]
    );
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let xml = format!("<testcase name='t'><failure>{}</failure></testcase>", "é&amp;".repeat(MAX_MESSAGE));
    let message = read(xml.as_bytes()).unwrap().remove(0).message.unwrap();
    assert!(message.len() <= MAX_MESSAGE + '…'.len_utf8() && message.ends_with('…'), "{}", message.len());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }

    #[test]
    fn anything_of_the_shape_of_xml_is_read_without_a_panic(
        pieces in proptest::collection::vec("</?(testsuite|testcase|failure|skipped|x:error)( (name|file|time|message)=\"[^<]{0,9}\")*/?>|&[a-z#0-9]{0,6};|.{0,8}", 0..24),
    ) {
        let _ = read(pieces.concat().as_bytes());
    }
}
