//! Any text is a pipeline or diagnostics that can be shown, and never both a pipeline and an error; and what is processed
//! stays as it is when it is processed again.

#![no_main]

use compiler::{Inputs, examine};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut inputs = Inputs { native: true, number: 1, ..Inputs::default() };
    inputs.git.branch = Some("main".to_owned());
    let compilation = examine("config.yml", text, &inputs);
    let all = compilation.to_run();
    for diagnostic in &all {
        compilation.sources.render(diagnostic);
    }
    assert_eq!(compilation.pipeline.is_none(), all.iter().any(yaml::Diagnostic::is_error), "a refusal says why");
    let Some(expanded) = compilation.expanded else { return };
    let once = expanded.text();
    let again = examine("config.yml", &once, &inputs);
    let twice = again.expanded.map(|twice| twice.text());
    assert_eq!(twice.as_deref(), Some(once.as_str()), "{:?}", again.said);
});
