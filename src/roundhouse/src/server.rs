//! `roundhouse server`: the control plane as a long-lived process, and what keeps its data directory sound.

use crate::{
    arguments::{Connection, IdentityProviderOptions, Server, ServerCommand},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail, causes},
    logging::{self, Log},
    notify::Notifier,
    orders::{Order, Orders},
    outbound::Caller,
    program,
};
use client::ClientError;
use control_plane::{BackupError, CheckError, IdentityProvider, Judge, Running, Settings, StartError};
use protocol::{PipelineId, exit};
use std::{
    convert::Infallible,
    fs,
    future::pending,
    io::{self, Write},
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// A pipeline that is not there.
const NOBODYS: &str = "00000000-0000-0000-0000-000000000000";
/// How long a call of its own may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until it is told to end, or does what is asked for instead; the exit status.
pub(crate) fn server(options: &Server) -> Result<u8, Failure> {
    match &options.command {
        None => serve(options).map(|()| exit::SUCCESS),
        Some(ServerCommand::Check { data_dir, deep }) => check(data_dir, *deep),
        Some(ServerCommand::Backup { data_dir, target }) => backup(data_dir, target),
        Some(ServerCommand::RotateKey { connection }) => rotate_key(connection),
    }
}

fn serve(options: &Server) -> Result<(), Failure> {
    let program = program::task_agent(options.task_agent.as_deref())?;
    let log = logging::to_stderr(options.log_format, slog::Level::Info);
    launch_agent::raise_descriptor_limit(&log);
    let mut settings = Settings::new(options.data_dir.clone(), options.listen, program);
    settings.lease = options.lease;
    settings.rate = NonZeroU32::new(options.rate_limit);
    settings.queue_timeout = options.queue_timeout.0;
    settings.tls = options.tls();
    settings.public_url.clone_from(&options.public_url);
    settings.retention = options.retention();
    settings.insecure_fetch = options.allow_insecure_fetch;
    settings.welcomes = true;
    settings.judge = Some(judge());
    settings.outbound = Some(Arc::new(Caller::of_environment()?));
    settings.identity_provider = identity_provider(&options.identity_provider)?;
    if let Some(path) = &options.known_hosts {
        settings.known_hosts =
            fs::read_to_string(path).or_usage(format!("--known-hosts {}", path.display()))?;
    }
    block_on(async move {
        let mut orders = Orders::listen().or_machinery("cannot listen to signals")?;
        let running =
            control_plane::start(settings, log.clone()).await.map_err(|error| not_started(&error))?;
        slog::info!(log, "listening"; "address" => %running.address, "data" => %options.data_dir.display());
        if let Some(authority) = &running.authority {
            slog::info!(log, "callers are to trust this certificate"; "file" => %authority.display());
        }
        if let Some(link) = &running.welcome {
            slog::info!(log, "nobody is known here: whoever opens this link first, within a day, is the admin"; "link" => link);
        }
        let notifier = Notifier::of_environment();
        notifier.status(&format!("listening on {}", running.address));
        notifier.ready();
        tokio::select! {
            () = told_to_end(&mut orders, &log) => {}
            never = live(&running, &notifier, &log) => match never? {},
        }
        notifier.stopping();
        slog::info!(log, "ending");
        running.stop().await;
        Ok(())
    })
}

/// Policies are asked in processes of this very program, also where another lies in its place by now.
fn judge() -> Judge {
    Judge::new(Path::new("/proc/self/exe"), [policies::ARGUMENT])
}

fn not_started(error: &StartError) -> Failure {
    let said = format!("cannot start the control plane: {}", causes(error));
    match error {
        StartError::SignIn(_) => Failure::usage(said),
        _ => Failure::machinery(said),
    }
}

/// Where people sign in. The secret is of a file, for a command line is read by all.
fn identity_provider(options: &IdentityProviderOptions) -> Result<Option<IdentityProvider>, Failure> {
    let Some((issuer, client)) = options.oidc_issuer.clone().zip(options.oidc_client_id.clone()) else {
        return Ok(None);
    };
    let mut provider = IdentityProvider::new(issuer, client);
    provider.scopes.clone_from(&options.oidc_scope);
    provider.group_claim.clone_from(&options.oidc_group_claim);
    if let Some(path) = &options.oidc_client_secret_file {
        let what = format!("--oidc-client-secret-file {}", path.display());
        let secret = fs::read_to_string(path).or_usage(&what)?.trim().to_owned();
        if secret.is_empty() {
            return Err(Failure::usage(format!("{what}: the file is empty")));
        }
        provider.client_secret = Some(secret);
    }
    Ok(Some(provider))
}

/// Nothing is read anew by a control plane: its options are those of its start.
async fn told_to_end(orders: &mut Orders, log: &Log) {
    while orders.next(false).await == Order::Reload {
        slog::info!(log, "nothing is read anew under way: restart the control plane for other options");
    }
}

/// Tells the service manager that it lives, as long as its own calls are answered, whatever the answer is: by its listener, a
/// worker, and the store. A disk that is full gets no better by a restart, one of them that hangs may.
async fn live(running: &Running, notifier: &Notifier, log: &Log) -> Result<Infallible, Failure> {
    if !notifier.is_heard() {
        return pending().await;
    }
    let mut settings = client::Settings::new(format!("http://{}", running.own));
    settings.patience = Duration::ZERO;
    let transport = client::Transport::new(settings).or_machinery("cannot call the own address")?;
    let operator = transport.operator(&running.operator_token);
    let nobodys: PipelineId = NOBODYS.parse().or_machinery("cannot call the own address")?;
    loop {
        let call = timeout(PATIENCE, operator.pipeline(nobodys));
        match call.await {
            Ok(Err(ClientError::Unreachable { .. })) | Err(_) => {
                slog::warn!(log, "a call of its own is not answered; the service manager is told nothing");
            }
            Ok(_) => notifier.alive(false),
        }
        sleep(notifier.pause()).await;
    }
}

/// Each fault on a line; whether there was any.
fn check(data_dir: &Path, deep: bool) -> Result<u8, Failure> {
    let checked = block_on(async {
        control_plane::check(data_dir, deep).await.map_err(|error| match error {
            CheckError::Store(_) => Failure::usage(error.to_string()),
            CheckError::Directory { .. } => Failure::machinery(error.to_string()),
        })
    })?;
    let mut lines = checked.findings.clone();
    if checked.more > 0 {
        lines.push(format!("and {} more", checked.more));
    }
    let verdict = if lines.is_empty() { "is sound" } else { "is not sound" };
    let unnamed = match checked.unnamed {
        0 => String::new(),
        files => {
            format!("; {files} files ({} bytes) that nothing names yet, or no more", checked.unnamed_bytes)
        }
    };
    let (logs, contents, orbs) = (checked.logs, checked.contents, checked.orbs);
    let counts = format!("{logs} logs, {contents} contents, {orbs} orbs");
    lines.push(format!("{} {verdict}: {counts}{unnamed}", data_dir.display()));
    tell(&lines)?;
    Ok(if checked.findings.is_empty() { exit::SUCCESS } else { exit::JOB_FAILED })
}

fn rotate_key(connection: &Connection) -> Result<u8, Failure> {
    let operator = Access::of(connection)?.operator();
    let values = block_on(async { operator.rotate_key().await.map_err(failed) })?;
    tell(&[format!("{values} values are sealed with a new key, and the old one is gone")])?;
    Ok(exit::SUCCESS)
}

fn backup(data_dir: &Path, target: &Path) -> Result<u8, Failure> {
    let done = block_on(async {
        control_plane::backup(data_dir, target).await.map_err(|error| match error {
            BackupError::Exists(_) | BackupError::Within(_) | BackupError::Store(_) => {
                Failure::usage(error.to_string())
            }
            _ => Failure::machinery(error.to_string()),
        })
    })?;
    let (contents, shared, logs) = (done.contents, done.shared, done.logs);
    tell(&[format!(
        "{} is a backup of {}: the store, {logs} files of logs, {contents} contents ({shared} of them shared)",
        target.display(),
        data_dir.display()
    )])?;
    Ok(exit::SUCCESS)
}

fn tell(lines: &[String]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(output, "{line}")).or_machinery("cannot write the result")
}
