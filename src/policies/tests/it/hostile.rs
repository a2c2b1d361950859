//! Policies that never end, or take all memory, or all of the stack: each ends by itself, and nobody else is hurt.

use crate::texts;
use policies::{Answer, Compiled, Judge, JudgeError, Question, Source};
use protocol::policies::Status;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// What the processes of these tests are started as.
const AS_A_JUDGE: &str = "nothing-but-a-judge";
const ITSELF: &str = "hostile::this_program_judges_where_it_is_started_to";

fn judge() -> Judge {
    Judge::new(&std::env::current_exe().unwrap(), [ITSELF, "--exact", "--skip", AS_A_JUDGE])
}

#[tokio::test]
async fn this_program_judges_where_it_is_started_to() {
    if std::env::args().any(|argument| argument == AS_A_JUDGE) {
        return policies::judge().unwrap();
    }
    let answer = judge().ask("gh/acme", &Question::Check(texts(&[]))).await.unwrap();
    assert_eq!(answer, Answer::Policies(texts(&[])));
}

fn question(rules: &str) -> Question {
    let policy =
        format!("package org\nimport future.keywords\npolicy_name[\"p\"]\nenable_hard[\"r\"]\n{rules}\n");
    let source = Source { written: "a: 1".to_owned(), compiled: Compiled::Unless(None) };
    Question::Decide { policies: texts(&[("p", &policy)]), source, metadata: serde_json::json!({}) }
}

/// Why it is no decision.
async fn ended(judge: &Judge, rules: &str) -> String {
    match judge.ask("gh/acme", &question(rules)).await {
        Ok(Answer::Decision(decision)) if decision.status == Status::Error => decision.reason.unwrap(),
        Err(error @ JudgeError::Ended { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_loop_without_end_ends_while_others_are_answered() {
    let judge = judge();
    let endless = "r = \"x\" { some a in range; some b in range; some c in range; a + b + c < 0 }\n\
                   range := numbers.range(1, 100000)";
    let (began, asked) = (Instant::now(), question("r = \"bad\""));
    let ended = async { (ended(&judge, endless).await, began.elapsed()) };
    let answered = async { (judge.ask("gh/other", &asked).await.unwrap(), began.elapsed()) };
    let ((why, endless), (answer, other)) = tokio::join!(ended, answered);
    assert!(why.contains("time limit"), "{why}");
    let Answer::Decision(decision) = answer else { panic!("a decision") };
    assert_eq!(decision.status, Status::HardFail);
    assert!(other < endless && endless < Duration::from_secs(60), "{other:?} {endless:?}");
}

#[tokio::test]
async fn what_wants_all_memory_is_ended() {
    let judge = judge();
    let doubled: String =
        (1..60).map(|n| format!("a{n} = concat(\"\", [a{}, a{}])\n", n - 1, n - 1)).collect();
    for rules in [
        "r = sprintf(\"%v\", [count(numbers.range(1, 1000000000))])".to_owned(),
        "r = sprintf(\"%v\", [count([[x, y, z] | some x in s; some y in s; some z in s])])\ns := numbers.range(1, 2000)"
            .to_owned(),
        format!("a0 = \"x\"\n{doubled}r = a59"),
    ] {
        let why = ended(&judge, &rules).await;
        assert!(why.contains("512 MiB") || why.contains("time limit"), "{rules}: {why}");
    }
}

#[tokio::test]
async fn rules_that_need_rules_that_need_rules_end_with_their_process_alone() {
    let chain: String = (1..15_000).map(|n| format!("a{n} = a{}\n", n - 1)).collect();
    let judge = judge();
    let asked = judge.ask("gh/acme", &question(&format!("a0 = \"x\"\n{chain}r = a14999"))).await;
    assert!(!matches!(asked, Err(JudgeError::Program { .. } | JudgeError::Busy)), "{asked:?}");
    let Ok(Answer::Decision(decision)) = judge.ask("gh/acme", &question("r = \"bad\"")).await else {
        panic!("a decision")
    };
    assert_eq!(decision.status, Status::HardFail);
}

#[tokio::test]
async fn a_process_that_says_nothing_is_ended_by_its_deadline() {
    let silent = Judge::new(Path::new("/bin/sleep"), ["1000"]).within(Duration::from_millis(200));
    let error = silent.ask("gh/acme", &Question::Check(texts(&[]))).await.unwrap_err();
    assert!(error.to_string().contains("no answer in"), "{error}");
    let missing =
        Judge::new(Path::new("/nowhere/at/all"), [""; 0]).ask("gh/acme", &Question::Check(texts(&[]))).await;
    assert!(matches!(missing, Err(JudgeError::Program { .. })), "{missing:?}");
}

#[tokio::test]
async fn only_what_took_more_than_it_may_is_told_what_that_is() {
    let asked = Question::Check(texts(&[]));
    let told = async |script: &str| {
        let judge = Judge::new(Path::new("/bin/sh"), ["-c", script]);
        judge.ask("gh/acme", &asked).await.unwrap_err()
    };
    for (script, wanted) in [
        (r#"read all; echo '{"Broken":"no thread"}' >&0"#, "no thread"),
        // Before it has heard the question.
        (r#"echo '{"Broken":"no thread"}' >&0"#, "no thread"),
        ("exit 3", "ended without an answer, with exit status: 3"),
        ("kill -TERM $$", "ended by signal 15"),
    ] {
        let error = told(script).await;
        assert!(matches!(error, JudgeError::Broken(_)), "{script}: {error:?}");
        let error = error.to_string();
        assert!(error.contains(wanted) && !error.contains("MiB"), "{script}: {error}");
    }
    for signal in ["KILL", "XCPU", "ABRT", "SEGV"] {
        let error = told(&format!("ulimit -c 0; kill -{signal} $$")).await.to_string();
        assert!(error.contains("were ended (signal") && error.contains("512 MiB"), "{signal}: {error}");
    }
}
