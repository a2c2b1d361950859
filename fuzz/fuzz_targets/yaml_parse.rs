//! Any text is a YAML tree or diagnostics that can be shown.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (_, diagnostics) = yaml::parse(text);
    for diagnostic in &diagnostics {
        yaml::render(diagnostic, "config.yml", text);
    }
});
