//! Any text is a policy or is refused with a reason, and whatever policy it is decides on any configuration.

#![no_main]

use policies::{Answer, Compiled, Question, Source, answer};
use std::collections::BTreeMap;

/// The engine reads what stands in brackets anew for each of them around it: with many, only the bounds of a judge's process
/// end that, which a target has not.
const BRACKETS: usize = 12;

libfuzzer_sys::fuzz_target!(|asked: (&str, &str)| {
    let (policy, configuration) = asked;
    if policy.matches(['[', '{', '(']).count() > BRACKETS {
        return;
    }
    match answer(Question::Check(BTreeMap::from([("some.rego".to_owned(), policy.to_owned())]))) {
        Answer::Policies(policies) => {
            let source = Source { written: configuration.to_owned(), compiled: Compiled::Unless(None) };
            let metadata = serde_json::json!({ "project_id": "some" });
            let decision = answer(Question::Decide { policies, source, metadata });
            assert!(matches!(decision, Answer::Decision(_)), "{decision:?}");
        }
        Answer::Faults(faults) => assert!(!faults.is_empty(), "refused without a reason"),
        other => panic!("this was not asked: {other:?}"),
    }
});
