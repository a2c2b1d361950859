//! The engine with all that policies have in it, and what it is asked.

use crate::{bundle, functions, input, iteration, verdict};
use protocol::policies::Decision;
use regorus::{Engine, PolicyLengthConfig, QueryResults, Value, utils::limits::ExecutionTimerConfig};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// How long an evaluation may take; whatever the engine does not end by itself is ended with its process.
pub(crate) const TIME: Duration = Duration::from_secs(2);
/// So many steps of an evaluation are between two looks at the clock.
const LOOK: NonZeroU32 = NonZeroU32::new(64).expect("it is not 0");
/// For what has been read within the engine's own bounds, and is longer by what this crate adds.
const LONGER: PolicyLengthConfig = PolicyLengthConfig {
    max_col: NonZeroU32::MAX,
    max_file_bytes: NonZeroUsize::MAX,
    max_lines: NonZeroUsize::MAX,
};
/// The packages of the library, and their texts.
const LIBRARY: [(&str, &str); 3] = [
    ("circleci.iteration", include_str!("rego/iteration.rego")),
    ("circleci.utils", include_str!("rego/utils.rego")),
    ("circleci.config", include_str!("rego/config.rego")),
];

/// What a process of a judge is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
    /// Whether these are policies: texts by the names of their files.
    Check(BTreeMap<String, String>),
    /// What these policies say of a configuration.
    Decide {
        /// Texts by the names of the policies.
        policies: BTreeMap<String, String>,
        /// What is decided on.
        source: Source,
        /// What they have as `data.meta`.
        metadata: serde_json::Value,
    },
}

/// A configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// As it was written.
    pub written: String,
    /// With everything filled in.
    pub compiled: Compiled,
}

/// What policies have as `input._compiled_`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Compiled {
    /// This, whatever the configuration itself has there.
    Is(String),
    /// What the configuration has there, else this, if it compiles at all.
    Unless(Option<String>),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// They are: texts by the names that they give themselves.
    Policies(BTreeMap<String, String>),
    /// They are not.
    Faults(Vec<String>),
    /// What they say.
    Decision(Decision),
    /// There is none, and this is why.
    Broken(String),
}

/// Answers it, in whatever time and memory that takes: to be called where both are bounded.
pub fn answer(question: Question) -> Answer {
    match question {
        Question::Check(files) => match bundle::check(files) {
            Ok(policies) => Answer::Policies(policies),
            Err(faults) => Answer::Faults(faults),
        },
        Question::Decide { policies, .. } if policies.is_empty() => Answer::Decision(Decision::default()),
        Question::Decide { policies, source, metadata } => {
            let decision = decide(policies, &source, &metadata);
            Answer::Decision(decision.unwrap_or_else(verdict::error))
        }
    }
}

fn decide(
    policies: BTreeMap<String, String>,
    source: &Source,
    metadata: &serde_json::Value,
) -> Result<Decision, String> {
    let input = input::of(source)?;
    let mut engine = engine();
    for (name, text) in policies {
        add(&mut engine, &format!("{name}.rego"), &text)?;
    }
    add_library(&mut engine).map_err(|error| bundle::told(&error))?;
    let all =
        all(&mut engine, &input.to_string(), &metadata.to_string()).map_err(|error| bundle::told(&error))?;
    verdict::of(&all)
}

/// One that nothing was added to.
pub(crate) fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_rego_v0(true);
    // What a function of the language cannot do has no value, and what needs it does not hold.
    engine.set_strict_builtin_errors(false);
    // What policies print is for nobody.
    engine.set_gather_prints(true);
    end_after(&mut engine, TIME);
    engine
}

/// Has its evaluations end by themselves after that time.
pub(crate) fn end_after(engine: &mut Engine, limit: Duration) {
    engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: LOOK });
}

/// A policy, as the engine is to have it.
pub(crate) fn add(engine: &mut Engine, file: &str, text: &str) -> Result<(), String> {
    let text = iteration::tolerant(file, text)?;
    engine.set_policy_length_config(LONGER);
    engine.add_policy(file.to_owned(), text).map(drop).map_err(|error| bundle::told(&error))
}

/// The packages that policies may import.
pub(crate) fn add_library(engine: &mut Engine) -> Result<(), impl std::fmt::Display + use<>> {
    LIBRARY.iter().try_for_each(|(package, text)| {
        engine.add_policy(format!("{package}.rego"), (*text).to_owned()).map(drop)
    })
}

/// The full names of their functions.
pub(crate) fn library_functions() -> Vec<String> {
    let mut engine = engine();
    if let Err(error) = add_library(&mut engine) {
        unreachable!("the library is of policies: {error}");
    }
    let modules = engine.get_modules().iter().zip(LIBRARY);
    modules.flat_map(|(module, (package, _))| functions::defined(module, package)).collect()
}

/// What all rules of the package `org` come to.
pub(crate) fn all(
    engine: &mut Engine,
    input: &str,
    metadata: &str,
) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
    engine.set_input(Value::from_json_str(input)?);
    engine.add_data_json(&format!("{{\"meta\": {metadata}}}"))?;
    let QueryResults { result } = engine.eval_query("data.org".to_owned(), false)?;
    let value = result.into_iter().flat_map(|result| result.expressions).next().map(|found| found.value);
    Ok(serde_json::from_str(&value.unwrap_or(Value::Null).to_json_str()?)?)
}
