//! Config policies of a control plane's organizations: pushed, fetched, asked, switched on and off, and what they decided.

use crate::{
    arguments::{OfOrganization, PolicyCommand, PolicyLogs, StatusName},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    follow::words::shown,
    resources::columns,
    say,
};
use client::Operator;
use protocol::{
    exit,
    policies::{Asked, Decided, Decision, Difference, NewBundle, Status},
};
use serde::Serialize;
use std::{collections::BTreeMap, fs, path::Path};

/// The most folders within one another that are looked through.
const DEEPEST: usize = 16;

/// `roundhouse policy`; the exit status.
pub(crate) fn policies(command: &PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Push { folder, dry_run, of } => block_on(push(of, folder, *dry_run)),
        PolicyCommand::Fetch { name, json, of } => block_on(fetch(of, name.as_deref(), *json)),
        PolicyCommand::Decide { file, meta, of } => block_on(decide(of, file, meta.as_deref())),
        PolicyCommand::Logs(options) => block_on(logs(options)),
        PolicyCommand::Settings { enabled, of } => block_on(settings(of, *enabled)),
    }
}

/// Somebody who may ask, and the organization's id.
async fn found(of: &OfOrganization) -> Result<(Operator, String), Failure> {
    let operator = Access::of(&of.connection)?.operator();
    let all = operator.organizations().await.map_err(failed)?;
    let name = &of.organization;
    let id = all.get(name).or_else(|| all.iter().find(|(slug, _)| is_same(slug, name)).map(|(_, id)| id));
    let unknown = || {
        Failure::usage(format!(
            "the control plane shows you no organization {}: none of its projects has run a pipeline yet, and you have no role in it",
            shown(name)
        ))
    };
    Ok((operator.clone(), id.cloned().ok_or_else(unknown)?))
}

/// By whatever name of its host.
fn is_same(slug: &str, name: &str) -> bool {
    const HOSTS: [[&str; 3]; 3] = [
        ["gh", "github", "github.com"],
        ["bb", "bitbucket", "bitbucket.org"],
        ["gl", "gitlab", "gitlab.com"],
    ];
    let (Some((one, rest)), Some((other, same))) = (slug.split_once('/'), name.split_once('/')) else {
        return false;
    };
    rest == same && HOSTS.iter().any(|names| names.contains(&one) && names.contains(&other))
}

async fn push(of: &OfOrganization, folder: &Path, dry: bool) -> Result<u8, Failure> {
    let mut policies = BTreeMap::new();
    read(folder, folder, DEEPEST, &mut policies)?;
    if policies.is_empty() {
        return Err(Failure::usage(format!("there is no *.rego in {}", folder.display())));
    }
    let (operator, id) = found(of).await?;
    let changed = operator.push_policies(&id, &NewBundle { policies }, dry).await.map_err(failed)?;
    let would = if dry { "would be" } else { "are" };
    say::note(format_args!("the policies of {} {would} these: {}", shown(&of.organization), told(&changed)));
    Ok(exit::SUCCESS)
}

fn told(changed: &Difference) -> String {
    let kinds =
        [("created", &changed.created), ("modified", &changed.modified), ("deleted", &changed.deleted)];
    let kinds = kinds.iter().filter(|(_, names)| !names.is_empty());
    let kinds: Vec<_> = kinds.map(|(kind, names)| format!("{kind} {}", names.join(", "))).collect();
    if kinds.is_empty() { "as they were".to_owned() } else { kinds.join("; ") }
}

/// All policies of a folder, by their paths in it.
fn read(
    root: &Path,
    folder: &Path,
    depth: usize,
    policies: &mut BTreeMap<String, String>,
) -> Result<(), Failure> {
    let what = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).or_usage(what())? {
        let entry = entry.or_usage(what())?;
        let (path, kind) = (entry.path(), entry.file_type().or_usage(what())?);
        if kind.is_dir() {
            match depth.checked_sub(1) {
                Some(depth) => read(root, &path, depth, policies)?,
                None => {
                    return Err(Failure::usage(format!(
                        "{}: too many folders within one another",
                        path.display()
                    )));
                }
            }
        } else if path.extension().is_some_and(|end| end == "rego") {
            let text = fs::read_to_string(&path).or_usage(format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            policies.insert(name, text);
        }
    }
    Ok(())
}

async fn fetch(of: &OfOrganization, name: Option<&str>, json: bool) -> Result<u8, Failure> {
    let (operator, id) = found(of).await?;
    let mut all = operator.policies(&id).await.map_err(failed)?;
    if let Some(name) = name {
        all.retain(|known, _| known == name);
        if all.is_empty() {
            return Err(Failure::usage(format!(
                "{} has no policy `{}`",
                shown(&of.organization),
                shown(name)
            )));
        }
    }
    if json {
        print(&all)?;
    } else if name.is_some() {
        all.values().try_for_each(|policy| say::print(&policy.content))?;
    } else {
        let rows = all.into_values().map(|policy| [policy.name, policy.created_by, policy.created_at]);
        say::print(columns(["POLICY", "BY", "SINCE"], rows.collect()))?;
    }
    Ok(exit::SUCCESS)
}

fn print(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).or_machinery("cannot write the document")?;
    say::print(format_args!("{text}\n"))
}

async fn decide(of: &OfOrganization, file: &Path, meta: Option<&str>) -> Result<u8, Failure> {
    let input = fs::read_to_string(file).or_usage(format!("cannot read {}", file.display()))?;
    let metadata = meta.map(serde_json::from_str).transpose().or_usage("--meta")?;
    let (operator, id) = found(of).await?;
    let decision = operator.decide(&id, &Asked { input, metadata }).await.map_err(failed)?;
    print(&decision)?;
    Ok(if decision.status.is_refusal() { exit::JOB_FAILED } else { exit::SUCCESS })
}

async fn logs(options: &PolicyLogs) -> Result<u8, Failure> {
    let (operator, id) = found(&options.of).await?;
    let status = options.status.map(|status| status.wire().name().to_owned());
    let given = [
        ("status", status),
        ("branch", options.branch.clone()),
        ("after", options.after.clone()),
        ("before", options.before.clone()),
    ];
    let query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let mut all = Vec::new();
    while all.len() < options.limit {
        let next = operator.decisions(&id, &query, all.len()).await.map_err(failed)?;
        if next.is_empty() {
            break;
        }
        all.extend(next);
    }
    all.truncate(options.limit);
    if options.json {
        return all.iter().try_for_each(line).map(|()| exit::SUCCESS);
    }
    say::print(columns(["WHEN", "DECISION", "BRANCH", "PIPELINE", "WHY"], all.iter().map(row).collect()))?;
    Ok(exit::SUCCESS)
}

fn line(decided: &Decided) -> Result<(), Failure> {
    let text = serde_json::to_string(decided).or_machinery("cannot write a line as JSON")?;
    say::print(format_args!("{text}\n"))
}

fn row(decided: &Decided) -> [String; 5] {
    let branch = decided.metadata["vcs"]["branch"].as_str().unwrap_or_default();
    [
        decided.created_at.clone(),
        decided.decision.status.name().to_owned(),
        shown(branch).to_string(),
        decided.metadata["build_number"].to_string(),
        shown(&why(&decided.decision)).to_string(),
    ]
}

/// On one line.
fn why(decision: &Decision) -> String {
    let failures = decision.hard_failures.iter().chain(&decision.soft_failures);
    let failures = failures.map(|one| format!("{}: {}", one.rule, one.reason));
    let all: Vec<_> = decision.reason.iter().cloned().chain(failures).collect();
    all.join("; ").replace('\n', " ")
}

async fn settings(of: &OfOrganization, enabled: Option<bool>) -> Result<u8, Failure> {
    let (operator, id) = found(of).await?;
    let settings = match enabled {
        Some(enabled) => operator.enforce_policies(&id, enabled).await,
        None => operator.policy_settings(&id).await,
    };
    let decide = if settings.map_err(failed)?.enabled { "decide" } else { "do not decide" };
    say::note(format_args!("the policies of {} {decide} about its pipelines", shown(&of.organization)));
    Ok(exit::SUCCESS)
}

impl StatusName {
    fn wire(self) -> Status {
        match self {
            Self::Pass => Status::Pass,
            Self::SoftFail => Status::SoftFail,
            Self::HardFail => Status::HardFail,
            Self::Error => Status::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_is_the_same_by_every_name_of_its_host() {
        assert!(is_same("gh/acme", "github.com/acme") && is_same("gl/acme", "gitlab/acme"));
        assert!(!is_same("gh/acme", "gl/acme") && !is_same("gh/acme", "gh/other") && !is_same("gh", "acme"));
    }

    #[test]
    fn policies_of_a_folder_are_those_of_folders_in_it_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        for name in ["a.rego", "sub/b.rego", "sub/notes.md", "a_test.yaml"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let mut policies = BTreeMap::new();
        read(folder.path(), folder.path(), DEEPEST, &mut policies).unwrap();
        assert_eq!(policies.into_keys().collect::<Vec<_>>(), ["a.rego", "sub/b.rego"]);
        let missing = read(folder.path(), &folder.path().join("x"), DEEPEST, &mut BTreeMap::new());
        assert_eq!(missing.unwrap_err().status, exit::USAGE);
    }
}
