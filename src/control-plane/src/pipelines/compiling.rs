//! Compiling a configuration off the server's own threads: a large one takes its time.

use super::forks;
use crate::refusal::Refusal;
use compiler::Inputs;
use protocol::{
    api::{NewPipeline, Refused},
    pipeline::Pipeline as Compiled,
};

/// What comes of a configuration.
#[derive(Debug)]
pub(super) struct Compiling {
    /// What runs.
    pub(super) compiled: Compiled,
    /// Each as people read it.
    pub(super) warnings: Vec<String>,
    /// All of it with everything filled in; empty where an orb is missing that what runs does without.
    pub(super) text: String,
}

/// Compiles it, or says what is wrong with it.
pub(super) async fn compile(new: &NewPipeline, inputs: Inputs) -> Result<Compiling, Refusal> {
    let (text, path) = (new.config.clone(), new.config_path.clone());
    let compiling = tokio::task::spawn_blocking(move || {
        let compilation = compiler::examine(&path, &text, &inputs);
        let rendered: Vec<_> =
            compilation.to_run().iter().map(|diagnostic| compilation.sources.render(diagnostic)).collect();
        let text = compilation.expanded.as_ref().map(compiler::Expanded::text).unwrap_or_default();
        (compilation.pipeline, rendered, text)
    });
    let broken = |_| Refusal::Unavailable("the compiler failed: please report this configuration".to_owned());
    match compiling.await.map_err(broken)? {
        (Some(mut compiled), warnings, text) => {
            if let Some(fork) = new.git.fork() {
                forks::set_apart(&mut compiled, fork);
            }
            Ok(Compiling { compiled, warnings, text })
        }
        (None, diagnostics, _) => {
            let message = format!("the configuration {} is not valid", new.config_path);
            Err(Refusal::Diagnosed(Refused { message, diagnostics }))
        }
    }
}
