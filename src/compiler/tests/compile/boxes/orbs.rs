//! Orbs: references of each kind, their scope, and the comments about them.

use super::runs;
use crate::orbs::with_orbs;
use compiler::examine;

/// A configuration that says something by an orb.
fn using(reference: &str) -> String {
    format!("version: 2.1\norbs: {{o: {reference}}}\njobs: {{build: {{machine: true, steps: [o/say]}}}}\n")
}

/// What it comes to, with its orbs at hand: the document, or all that is wrong.
fn processed(text: &str) -> String {
    let compilation = examine("config.yml", text, &with_orbs());
    match compilation.expanded {
        Some(expanded) => expanded.text(),
        None => {
            let all = compilation.said.iter().chain(&compilation.missed).chain(&compilation.refused);
            all.map(|one| compilation.sources.render(one)).collect()
        }
    }
}

#[test]
fn a_reference_resolves_to_the_newest_version_that_fits() {
    for (wanted, exact) in [
        ("1.2.3", "1.2.3"),
        ("1.3", "1.3.0"),
        ("1", "1.3.0"),
        ("volatile", "2.0.0"),
        ("dev:next", "dev:next"),
    ] {
        let comment = format!("# Orb 'acme/tools@{wanted}' resolved to 'acme/tools@{exact}'\n");
        assert!(processed(&using(&format!("\"acme/tools@{wanted}\""))).starts_with(&comment), "{wanted}");
    }
}

#[test]
fn an_orb_may_be_named_by_an_address_that_is_allowed() {
    let url = "https://orbs.acme.example/tools.yml";
    let found = processed(&using(url));
    assert!(found.starts_with(&format!("# Orb '{url}' resolved to '{url}'\n")), "{found}");
    let missing = processed(&using("https://orbs.acme.example/none.yml"));
    assert!(missing.contains("is not here: nothing lies there"), "{missing}");
    let strange = processed(&using("https://elsewhere.example/tools.yml"));
    assert!(strange.contains("is not here: its address is not allowed"), "{strange}");
    let open = processed(&using("http://orbs.acme.example/tools.yml"));
    assert!(open.contains("names no orb"), "{open}");
}

#[test]
fn inline_orbs_may_nest() {
    let text = "version: 2.1\norbs: {a: {orbs: {b: {commands: {deep: {steps: [run: deep]}}}}, commands: {c: {steps: [b/deep]}}}}\n\
                jobs: {build: {machine: true, steps: [a/c]}}\n";
    runs(text, &["workflow workflow", "job build on a machine", "\"deep\": run \"deep\""]);
}

#[test]
fn pipeline_parameters_choose_a_version_before_orbs_are_loaded() {
    let text = using("acme/tools@<< pipeline.parameters.v >>")
        .replace("orbs:", "parameters: {v: {type: string, default: \"1.2.3\"}}\norbs:");
    assert!(processed(&text).starts_with("# Orb 'acme/tools@1.2.3' resolved"), "{}", processed(&text));
}

#[test]
fn a_processed_configuration_ends_with_its_original_in_comments() {
    let text = using("acme/tools@1.2.3");
    let once = processed(&text);
    let commented: String = text.lines().map(|line| format!("# {line}\n")).collect();
    assert!(once.ends_with(&format!("\n# Original config.yml file:\n{commented}")), "{once}");
    assert_eq!(processed(&once), once);
}

#[test]
fn an_orb_that_is_not_at_hand_is_an_error_that_says_how_to_get_it() {
    let missing = processed(&using("acme/none@1"));
    assert!(missing.contains("the orb `acme/none@1` is not here: the shelf has none"), "{missing}");
    assert!(missing.contains("help: put it there"), "{missing}");
}
