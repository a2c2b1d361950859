//! Continuing a setup pipeline: one call with its key, and the workflows of another configuration join it.
//!
//! The key and what the configuration is compiled with lie sealed among the pipeline's variables, so both outlive the
//! control plane. The key opens once: the call that used it is remembered by its hash, and its repeat is answered again.

use super::{
    compiling::{Compiling, compile},
    create::Plan,
};
use crate::{
    engine::workflow::Event,
    pipelines::{credentials, hidden, policed::Case},
    plane::{
        Plane, Written,
        live::{Change, Pipeline},
        projects::{Giver, Numbers, Project},
        token,
    },
    refusal::Refusal,
};
use compiler::Inputs;
use protocol::{
    Actor, PipelineId, PipelineState,
    api::{Continuation, Continue, NewPipeline, Refused, Variables},
    pipeline::Pipeline as Compiled,
};
use serde_json::Value;
use slog::warn;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{PipelineRow, Write};

/// How long a key opens.
const VALID: Duration = Duration::from_secs(6 * 60 * 60);
/// What the continued configuration is called in diagnostics: whoever sent it made it up.
const PATH: &str = "continued configuration";

/// What a new setup pipeline keeps.
pub(super) fn kept_of(new: &NewPipeline, id: PipelineId) -> Continuation {
    Continuation {
        key: new_key(id),
        parameters: new.parameters.clone(),
        default_class: new.default_class.clone(),
        native: new.native,
        orbs: new.orbs.clone(),
    }
}

/// Of a run of its setup workflow: whoever had that run answers for what follows, so what an earlier one was given opens
/// nothing any more.
pub(super) fn new_key(id: PipelineId) -> String {
    format!("{id}.{}", token::new_token())
}

impl Attempt {
    /// What a pipeline would be made of that is the continuation alone.
    fn request(&self, configuration: String) -> NewPipeline {
        let Self { pipeline, kept, .. } = self;
        NewPipeline {
            project: pipeline.project_name.clone(),
            config: configuration,
            config_path: PATH.to_owned(),
            parameters: BTreeMap::new(),
            selection: Default::default(),
            source: pipeline.source.clone(),
            git: pipeline.git.clone(),
            environment: Vec::new(),
            contexts: pipeline.variables.contexts.clone(),
            default_class: kept.default_class.clone(),
            native: kept.native,
            orbs: kept.orbs.clone(),
            ssh_keys: Vec::new(),
            actor: self.actor.clone().unwrap_or_else(|| pipeline.actor.clone()),
        }
    }
}

/// A call that may be the one.
struct Attempt {
    pipeline: Arc<Pipeline>,
    kept: Continuation,
    /// Who had its setup workflow run, where that is not who had the pipeline made.
    actor: Option<Actor>,
    /// The place of the first workflow that joins.
    place: u32,
    /// Its hash.
    call: [u8; 32],
}

impl Plane {
    /// Lets the workflows of the call's configuration join the pipeline that its key is of.
    pub(crate) async fn continue_pipeline(self: &Arc<Self>, asked: Continue) -> Result<(), Refusal> {
        let (pipeline, kept, actor) = self.kept_for(&asked.key)?;
        let call = hash(&asked);
        let project = self.projects.get(&self.store, &pipeline.project_name).await?;
        // Held until all is on disk, so that of two calls one is the first.
        let numbers = project.numbers.clone().lock_owned().await;
        let (row, place) = self.store.pipeline_to_join(pipeline.id).await?.ok_or_else(no_such_key)?;
        if was_answered(&row, &call, self.clock.moment().wall_ms)? {
            return Ok(());
        }
        let parameters = parameters(asked.parameters, &kept)?;
        let attempt = Attempt { pipeline, kept, actor, place, call };
        let joined = self.join(&attempt, (asked.configuration, parameters), &project, numbers).await;
        if let Err(refusal @ (Refusal::Diagnosed(_) | Refusal::Bad(_))) = &joined {
            self.error(&attempt, refusal).await?;
        }
        joined
    }

    /// The unfinished pipeline of a key, what it keeps, and who had the workflow run that has the key.
    fn kept_for(&self, key: &str) -> Result<(Arc<Pipeline>, Continuation, Option<Actor>), Refusal> {
        let id = key.split_once('.').and_then(|(id, _)| id.parse().ok()).ok_or_else(no_such_key)?;
        let core = self.core();
        let setup = core.running_of(id)?.ok_or_else(no_such_key)?;
        let (pipeline, actor) = (setup.pipeline.clone(), setup.actor.clone());
        // As hashes, so that how long it takes says nothing of the key.
        let is_its = |kept: &&Continuation| token::hash(&kept.key) == token::hash(key);
        let kept = pipeline.variables.continuation.as_ref().filter(is_its).cloned();
        Ok((pipeline, kept.ok_or_else(no_such_key)?, actor))
    }

    async fn join(
        self: &Arc<Self>,
        attempt: &Attempt,
        (configuration, parameters): (String, BTreeMap<String, String>),
        project: &Project,
        numbers: Giver,
    ) -> Result<(), Refusal> {
        let Attempt { pipeline, kept, actor, place, call } = attempt;
        let new = attempt.request(configuration);
        let inputs = Inputs {
            parameters,
            inherited: kept.parameters.clone(),
            is_continuation: true,
            ..self.inputs(&new, pipeline.id, pipeline.number)
        };
        let Compiling { mut compiled, mut warnings, text } = compile(&new, inputs).await?;
        // Its jobs find their passwords behind those of the setup jobs.
        let passwords = credentials::take(&mut compiled, new.native, pipeline.variables.passwords.clone());
        let variables = Variables { passwords, ..pipeline.variables.clone() };
        let masker = hidden::masker(&pipeline.variables);
        let case = Case { new: &new, number: pipeline.number, compiled: &text, masker: &masker };
        let passed = self.police(case).await?;
        warnings.extend(passed.warnings);
        let began_with = self.configuration(pipeline.id).await?.unwrap_or_default();
        let texts = began_with.continued(&new.config, text, &variables).write(&self.vault, pipeline.id);
        let pipeline = Arc::new(Pipeline { variables, ..Pipeline::clone(pipeline) });
        let classes = self.classes_of(&new, &compiled)?;
        warnings.extend(self.missing_contexts(&new, &compiled));
        for warning in warnings {
            warn!(self.log, "of a continued configuration"; "pipeline" => %pipeline.id, "said" => warning);
        }
        let jobs: usize = compiled.workflows.iter().map(|workflow| workflow.jobs.len()).sum();
        let next = Numbers { job: numbers.job + jobs as u64, ..*numbers };
        let plan = Plan {
            id: pipeline.id,
            number: pipeline.number,
            first_job: numbers.job,
            first_place: *place as usize,
            is_setup: false,
            actor: actor.clone(),
            classes,
            project,
        };
        let mut along = vec![texts, continued(pipeline.id, PipelineState::Created, Vec::new(), *call)];
        along.extend(passed.along);
        self.begin_joining(&pipeline, compiled, plan, along, (numbers, next))?.on_disk().await
    }

    /// Queues the one write that continues the pipeline.
    fn begin_joining(
        self: &Arc<Self>,
        pipeline: &Arc<Pipeline>,
        compiled: Compiled,
        plan: Plan<'_>,
        along: Vec<Write>,
        (numbers, next): (Giver, Numbers),
    ) -> Result<Written, Refusal> {
        let moment = self.clock.moment();
        let mut change = Change { joined: true, ..Change::default() };
        let project = plan.project.id;
        change.writes.push(Write::NextNumbers { project, pipeline: next.pipeline, job: next.job });
        change.writes.extend(along);
        let text = serde_json::to_vec(&pipeline.variables).expect("variables have only string keys");
        change.writes.push(Write::Secrets(pipeline.id, self.vault.seal(pipeline.id, &text)));
        let mut lives = plan.workflows(compiled, pipeline, &mut change)?;
        for live in &mut lives {
            live.guard.generation = self.core().next_generation();
            live.workflow_event(Event::Start, moment, &mut change);
        }
        // What has nothing to do is over by now.
        lives.retain(|live| !live.engine.status().is_terminal());
        Ok(self.queue_new(pipeline.id, lives, change, (numbers, next)))
    }

    /// Remembers why a pipeline gets no more workflows.
    async fn error(&self, attempt: &Attempt, refusal: &Refusal) -> Result<(), Refusal> {
        let said = match refusal {
            Refusal::Diagnosed(refused) => refused.diagnostics.clone(),
            other => vec![format!("{PATH}: error: {other}\n")],
        };
        // A configuration that a job made may have what only the job is to know, and diagnostics show its lines.
        let masker = hidden::masker(&attempt.pipeline.variables);
        let errors = said.into_iter().map(|text| hidden::hide(text, &masker)).collect();
        let id = attempt.pipeline.id;
        self.write(vec![continued(id, PipelineState::Errored, errors, attempt.call)]).await?;
        self.feeds.renew(id);
        Ok(())
    }
}

fn continued(pipeline: PipelineId, state: PipelineState, errors: Vec<String>, call: [u8; 32]) -> Write {
    Write::Continued { pipeline, state, errors, call }
}

/// The same for whoever guesses, and for whoever is late.
fn no_such_key() -> Refusal {
    Refusal::Missing(
        "the continuation key opens nothing: it is not the pipeline's, or the pipeline's setup workflow is over"
            .to_owned(),
    )
}

fn hash(asked: &Continue) -> [u8; 32] {
    token::hash(&serde_json::to_string(asked).expect("a call has only string keys"))
}

/// Whether this call continued the pipeline before; refused where it cannot any more.
fn was_answered(row: &PipelineRow, call: &[u8; 32], now_ms: i64) -> Result<bool, Refusal> {
    let is_this = row.continued.as_ref() == Some(call);
    match row.state {
        PipelineState::Setup if now_ms.saturating_sub(row.created_ms) > VALID.as_millis() as i64 => Err(
            Refusal::Conflict("the continuation key was valid for 6 hours: run the pipeline anew".to_owned()),
        ),
        PipelineState::Setup => Ok(false),
        PipelineState::Created if is_this => Ok(true),
        PipelineState::Errored if is_this => Err(Refusal::Diagnosed(Refused {
            message: format!("the {PATH} is not valid"),
            diagnostics: row.errors.clone(),
        })),
        PipelineState::Created | PipelineState::Errored => Err(Refusal::Conflict(
            "the pipeline was continued before: a continuation key is valid once".to_owned(),
        )),
    }
}

/// Each as typed on a command line. What the pipeline was started with cannot be given again.
fn parameters(
    given: BTreeMap<String, Value>,
    kept: &Continuation,
) -> Result<BTreeMap<String, String>, Refusal> {
    let again: Vec<&str> =
        given.keys().map(String::as_str).filter(|name| kept.parameters.contains_key(*name)).collect();
    if !again.is_empty() {
        let again = again.join(", ");
        let message =
            format!("Conflicting pipeline parameters: the pipeline was started with {again} already");
        return Err(Refusal::Bad(message));
    }
    let read = |(name, value): (String, Value)| text_of(&name, value).map(|text| (name, text));
    given.into_iter().map(read).collect()
}

/// A plain value as typed on a command line.
pub(crate) fn text_of(name: &str, value: Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        _ => Err(Refusal::Bad(format!(
            "the pipeline parameter `{name}` is neither a text nor a whole number nor a boolean"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::task::Source;
    use uuid::Uuid;

    fn row(state: PipelineState, continued: Option<[u8; 32]>) -> PipelineRow {
        PipelineRow {
            id: PipelineId(Uuid::from_u128(1)),
            project: store::ProjectId(1),
            number: 1,
            created_ms: 1000,
            actor: Default::default(),
            source: Source::None,
            git: Default::default(),
            state,
            errors: vec!["wrong".to_owned()],
            continued,
        }
    }

    #[test]
    fn a_key_opens_once_and_for_six_hours_and_a_repeat_hears_the_same() {
        let (one, other) = ([1; 32], [2; 32]);
        let hours = 60 * 60 * 1000;
        let setup = row(PipelineState::Setup, None);
        assert!(!was_answered(&setup, &one, 1000 + 6 * hours).unwrap());
        let late = was_answered(&setup, &one, 1001 + 6 * hours).unwrap_err();
        assert!(late.to_string().contains("6 hours"), "{late}");
        let done = row(PipelineState::Created, Some(one));
        assert!(was_answered(&done, &one, 1000 + 9 * hours).unwrap());
        assert!(matches!(was_answered(&done, &other, 1000), Err(Refusal::Conflict(_))));
        let wrong = row(PipelineState::Errored, Some(one));
        let Err(Refusal::Diagnosed(refused)) = was_answered(&wrong, &one, 1000) else { panic!("the same") };
        assert_eq!(refused.diagnostics, ["wrong"]);
        assert!(matches!(was_answered(&wrong, &other, 1000), Err(Refusal::Conflict(_))));
    }

    #[test]
    fn parameters_are_texts_numbers_and_booleans_that_are_new() {
        let kept = Continuation {
            key: String::new(),
            parameters: [("old".to_owned(), "x".to_owned())].into(),
            default_class: None,
            native: false,
            orbs: Vec::new(),
        };
        let given = |text: &str| parameters(serde_json::from_str(text).unwrap(), &kept);
        let read = given(r#"{"a": "x", "b": true, "c": -3}"#).unwrap();
        assert_eq!(read.into_values().collect::<Vec<_>>(), ["x", "true", "-3"]);
        for wrong in [r#"{"a": 1.5}"#, r#"{"a": null}"#, r#"{"a": ["x"]}"#] {
            assert!(given(wrong).unwrap_err().to_string().contains("`a`"));
        }
        let conflict = given(r#"{"old": "y", "new": 1}"#).unwrap_err().to_string();
        assert!(
            conflict.starts_with("Conflicting pipeline parameters") && conflict.contains("old"),
            "{conflict}"
        );
    }
}
