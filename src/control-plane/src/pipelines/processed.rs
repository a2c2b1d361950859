//! A configuration as the compiler has it, for whoever asks what is made of it: nothing is stored, and nothing runs.

use super::continuation::text_of;
use crate::{plane::Plane, refusal::Refusal};
use compiler::Inputs;
use protocol::api::GitValues;
use serde_json::Value;
use std::collections::BTreeMap;

/// Names with plain values.
pub(crate) type Values = BTreeMap<String, Value>;

/// A configuration to look at.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) config: String,
    pub(crate) parameters: Values,
    /// Of the pipeline that there might be: `git.branch` and the like, with or without `pipeline.` before it.
    pub(crate) values: Values,
}

/// The configuration with all filled in, or each error with its place.
pub(crate) type Processed = Result<String, Vec<String>>;

impl Plane {
    /// What a configuration is with all filled in; off the server's own threads.
    pub(crate) async fn process(&self, asked: Asked) -> Result<Processed, Refusal> {
        let Asked { config, parameters, values } = asked;
        let read = |(name, value): (String, Value)| text_of(&name, value).map(|text| (name, text));
        let parameters = parameters.into_iter().map(read).collect::<Result<_, _>>()?;
        let inputs = Inputs { parameters, orbs: Some(self.orbs_beside(Vec::new())), ..inputs_of(&values) };
        let processing = tokio::task::spawn_blocking(move || processed(&config, &inputs));
        let broken =
            |_| Refusal::Unavailable("the compiler failed: please report this configuration".to_owned());
        processing.await.map_err(broken)
    }
}

fn processed(config: &str, inputs: &Inputs) -> Processed {
    let compilation = compiler::examine("config.yml", config, inputs);
    let errors = compilation.said.iter().chain(&compilation.missed).filter(|one| one.is_error());
    let rendered = || errors.map(|one| compilation.sources.render(one).trim_end().to_owned()).collect();
    compilation.expanded.as_ref().map(compiler::Expanded::text).ok_or_else(rendered)
}

/// A pipeline is of a branch as a rule, and values of none would keep jobs out for nothing.
fn inputs_of(values: &Values) -> Inputs {
    let value = |name: &str| value(values, name);
    let tag = value("git.tag");
    let branch = value("git.branch").or_else(|| tag.is_none().then(|| "main".to_owned()));
    let revision = value("git.revision").or_else(|| Some("0".repeat(40)));
    let url = value("project.git_url").or_else(|| value("git.repo_url"));
    let git = GitValues { revision, branch, tag, url, ..GitValues::default() };
    let number = value("number").and_then(|number| number.parse().ok()).unwrap_or(1);
    Inputs { git, number, id: value("id").and_then(|id| id.parse().ok()), ..Inputs::default() }
}

/// An empty one is none.
fn value(values: &Values, name: &str) -> Option<String> {
    let found = values.get(name).or_else(|| values.get(&format!("pipeline.{name}")))?;
    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
    Some(text).filter(|text| !text.is_empty() && !found.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_pipeline_are_taken_with_and_without_their_first_word() {
        let of = |text: &str| inputs_of(&serde_json::from_str(text).unwrap());
        let inputs = of(r#"{"pipeline.git.tag": "v1", "number": 7, "git.branch": "", "git.revision": null}"#);
        assert_eq!((inputs.git.tag.as_deref(), inputs.git.branch, inputs.number), (Some("v1"), None, 7));
        assert_eq!(inputs.git.revision, Some("0".repeat(40)));
        assert_eq!(of(r#"{"number": "many"}"#).git.branch.as_deref(), Some("main"));
    }
}
