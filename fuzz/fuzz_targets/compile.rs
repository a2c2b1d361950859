//! Any text is a pipeline or diagnostics that can be shown, and never both a pipeline and an error.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (pipeline, diagnostics) = compiler::compile(text, &compiler::Inputs::default());
    for diagnostic in &diagnostics {
        yaml::render(diagnostic, "config.yml", text);
    }
    assert!(pipeline.is_some() || !diagnostics.is_empty(), "a refusal says why");
});
