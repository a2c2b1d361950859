//! `roundhouse pipeline run`: a pipeline on a control plane's launch-agents, of the working tree or of a repository.

use crate::{
    arguments::{Connection, Output, PipelineRun},
    artifacts::Places,
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    follow::{Approvals, Company, Interrupts, words},
    request::Request,
    say,
    show::Show,
};
use archive::Packer;
use client::Operator;
use protocol::{
    Digest, WorkflowId,
    api::{Created, NewPipeline},
    exit,
    task::Source,
    transfer::Content,
};
use ring::digest::{Context, SHA256};
use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
    time::Instant,
};

/// The name of the tree's root in a source archive.
const ROOT: &str = "work";

/// Starts a pipeline, and follows it where asked; the exit status.
pub(crate) fn run(options: &PipelineRun) -> Result<u8, Failure> {
    let began = Instant::now();
    let access = Access::of(&options.connection)?;
    let request = Request::read(options.path.as_deref(), &options.selection, Some(access.clone()))?;
    request.check(None)?;
    block_on(async {
        let operator = access.operator();
        let pipeline = described(&operator, options, &request).await?;
        let mut interrupts = Interrupts::listen().or_machinery("cannot listen to signals")?;
        let created = operator.create_pipeline(&pipeline).await.map_err(failed)?;
        if options.follow {
            let (output, artifacts) = (options.selection.output, options.artifacts.as_deref());
            let following = Following { access: &access, output, artifacts, only: None, began };
            following.follow(&operator, &options.connection, &created, &mut interrupts).await
        } else {
            tell(options.selection.output, &created, access.url())?;
            Ok(exit::SUCCESS)
        }
    })
}

fn tell(output: Output, created: &Created, url: &str) -> Result<(), Failure> {
    for warning in &created.warnings {
        say::note(format_args!("{}\n", warning.trim_end()));
    }
    let Created { id, number, .. } = created;
    match output {
        Output::Json => say::print(format_args!("{}\n", serde_json::json!({ "id": id, "number": number }))),
        Output::Text => {
            say::note(format_args!("pipeline {number} runs: {url}/pipelines/{id}"));
            say::print(format_args!("{id}\n"))
        }
    }
}

/// How a pipeline of a control plane is followed.
pub(crate) struct Following<'a> {
    pub(crate) access: &'a Access,
    pub(crate) output: Output,
    /// Where copies of its artifacts go.
    pub(crate) artifacts: Option<&'a Path>,
    /// The one workflow of it that is followed.
    pub(crate) only: Option<WorkflowId>,
    pub(crate) began: Instant,
}

impl Following<'_> {
    /// Follows it to its end; the exit status.
    pub(crate) async fn follow(
        &self,
        operator: &Operator,
        connection: &Connection,
        created: &Created,
        interrupts: &mut Interrupts,
    ) -> Result<u8, Failure> {
        let page = format!("{}/pipelines/{}", self.access.url(), created.id);
        let show = Show {
            only: self.only,
            output: self.output,
            verbose: false,
            began: self.began,
            page: Some(page.clone()),
            page_afterwards: Some(page.clone()),
            approvals: Approvals { reach: reach(connection), ahead: Vec::new() },
        };
        let followed = show.follow(operator, created, interrupts, &Leave).await;
        let unseen = |how| format!("pipeline {} {how}: {page}", created.number);
        let followed = match followed {
            Ok(Some(followed)) => followed,
            Ok(None) => {
                say::note(unseen("is followed no longer"));
                return Ok(exit::INTERRUPTED);
            }
            Err(failure) => {
                let message = format!("{}; {}", failure.message, unseen("goes on without being followed"));
                return Err(Failure { message, ..failure });
            }
        };
        show.conclude(operator, &followed, &self.places()?, interrupts).await
    }

    fn places(&self) -> Result<Places, Failure> {
        let Some(folder) = self.artifacts else { return Ok(Places::nowhere()) };
        let folder = std::path::absolute(folder).or_usage(format!("--artifacts {}", folder.display()))?;
        Ok(Places::below(folder))
    }
}

/// What leads `roundhouse approve` and `roundhouse release` to that control plane, as far as the environment does not.
fn reach(connection: &Connection) -> String {
    connection.host.iter().map(|host| format!(" --host {}", words::in_shell(host))).collect()
}

/// The second interrupt leaves a remote pipeline to itself.
struct Leave;

impl Company for Leave {
    fn hurry(&self) -> bool {
        false
    }

    fn what_hurrying_does(&self) -> &'static str {
        "follow it no longer"
    }
}

async fn described(
    operator: &Operator,
    options: &PipelineRun,
    request: &Request,
) -> Result<NewPipeline, Failure> {
    let class = options.resource_class.clone();
    if let (Some(url), Some(revision)) = (&options.git, &options.revision) {
        let (url, revision, branch, tag) =
            (url.clone(), revision.clone(), options.branch.clone(), options.tag.clone());
        let git = snapshot::Git {
            revision: Some(revision.clone()),
            branch: branch.clone(),
            default_branch: None,
            tag: tag.clone(),
            url: Some(url.clone()),
            commit: snapshot::Commit::default(),
        };
        let project = options.project.clone().unwrap_or_else(|| project_of_url(&url));
        let source = Source::Git { url, revision, branch, tag };
        return Ok(request.pipeline(project, source, Some(git), class));
    }
    let project = options.project.clone().unwrap_or_else(|| project_of_folder(&request.folder));
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let folder = tempfile::Builder::new().permissions(private).tempdir();
    let folder = folder.or_machinery("cannot make a temporary folder")?;
    let (archive, content, git) = packed(options, request, folder.path())?;
    operator.put_source(&project, &content, &archive).await.map_err(failed)?;
    let source = Source::Archive { digest: content.digest, size: content.size };
    Ok(request.pipeline(project, source, git, class))
}

/// The working tree as one archive.
fn packed(
    options: &PipelineRun,
    request: &Request,
    folder: &Path,
) -> Result<(File, Content, Option<snapshot::Git>), Failure> {
    let what = if options.committed { snapshot::What::Committed } else { snapshot::What::WorkingTree };
    let failed = || format!("cannot take a snapshot of {}", request.folder.display());
    let tree = folder.join("tree");
    let taken = snapshot::take(&request.folder, &tree, what, &[]).or_machinery(failed())?;
    for note in &taken.notes {
        say::note(format_args!("roundhouse: {note}"));
    }
    let file = File::create_new(folder.join("archive")).or_machinery(failed())?;
    let mut packer = Packer::new(file).or_machinery(failed())?;
    packer.add(ROOT, &tree, Path::new("")).or_machinery(failed())?;
    packer.finish().or_machinery(failed())?;
    let mut file = File::open(folder.join("archive")).or_machinery(failed())?;
    let content = content(&mut file).or_machinery(failed())?;
    Ok((file, content, taken.git))
}

fn content(file: &mut File) -> io::Result<Content> {
    let (mut hash, mut size, mut part) = (Context::new(&SHA256), 0, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            break;
        }
        hash.update(&part[..read]);
        size += read as u64;
    }
    file.rewind()?;
    let digest: [u8; 32] = hash.finish().as_ref().try_into().expect("a SHA-256 has 32 bytes");
    Ok(Content { digest: Digest::of_bytes(&digest), size })
}

/// `https://host/org/repo.git`, `git@host:org/repo` → `host/org/repo`.
fn project_of_url(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.trim_end_matches('/').trim_end_matches(".git").replace(':', "/")
}

fn project_of_folder(folder: &Path) -> String {
    let name = folder.file_name().map_or("root".to_owned(), |name| name.to_string_lossy().into_owned());
    format!("local/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_project_by_its_path() {
        for url in [
            "https://user:pw@example.org/acme/app.git",
            "git@example.org:acme/app.git",
            "ssh://git@example.org/acme/app/",
        ] {
            assert_eq!(project_of_url(url), "example.org/acme/app");
        }
    }

    #[test]
    fn an_archive_is_named_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"").unwrap();
        let content = content(&mut File::open(&path).unwrap()).unwrap();
        assert!(protocol::http::is_empty_content(&content.digest) && content.size == 0);
    }
}
