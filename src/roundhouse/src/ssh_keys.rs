//! SSH keys: read from files, given to projects of a control plane, listed, taken away.

use crate::{
    arguments::{KeyFile, SshKeyCommand},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    resources::columns,
    say,
};
use client::Operator;
use protocol::api::NewSshKey;
use std::{fs::File, io::Read, path::Path};

/// The longest file that is read as a key.
const MOST: u64 = 64 * 1024;

/// `roundhouse ssh-key`.
pub(crate) fn ssh_keys(command: &SshKeyCommand) -> Result<(), Failure> {
    match command {
        SshKeyCommand::Create { project, key, host_name, checkout, connection } => {
            let private_key = key.as_deref().map(read).transpose()?;
            let new = NewSshKey { hostname: host_name.clone(), private_key, checkout: *checkout };
            let access = Access::of(connection)?;
            block_on(create(access.operator(), project, new))
        }
        SshKeyCommand::List { project, connection } => {
            let access = Access::of(connection)?;
            block_on(list(access.operator(), project))
        }
        SshKeyCommand::Delete { project, fingerprint, connection } => {
            let access = Access::of(connection)?;
            block_on(async { access.operator().delete_ssh_key(project, fingerprint).await.map_err(failed) })?;
            say::note(format_args!("deleted {fingerprint}"));
            Ok(())
        }
    }
}

/// The public half alone goes to standard output, so that a script can hand it on.
async fn create(operator: Operator, project: &str, new: NewSshKey) -> Result<(), Failure> {
    let made = operator.create_ssh_key(project, &new).await.map_err(failed)?;
    let what = match (made.checkout, &new.private_key) {
        (true, None) => "made the checkout key",
        (true, Some(_)) => "took the checkout key",
        (false, _) => "took the key",
    };
    say::note(format_args!("{what} {} of {project}", made.fingerprint));
    if made.checkout {
        say::note(format_args!("let the repository's host know its public half, as a deploy key:"));
    }
    say::print(format_args!("{}\n", made.public_key))
}

async fn list(operator: Operator, project: &str) -> Result<(), Failure> {
    let keys = operator.ssh_keys(project).await.map_err(failed)?;
    let rows = keys.into_iter().map(|key| {
        let used =
            if key.checkout { "checkout".to_owned() } else { key.hostname.unwrap_or("all hosts".to_owned()) };
        [key.fingerprint, key.sha256, used]
    });
    say::print(columns(["FINGERPRINT", "SHA256", "FOR"], rows.collect()))
}

/// The keys that a command line names.
pub(crate) fn given(keys: &[KeyFile]) -> Result<Vec<NewSshKey>, Failure> {
    let one = |key: &KeyFile| {
        Ok(NewSshKey { hostname: key.hostname.clone(), private_key: Some(read(&key.file)?), checkout: false })
    };
    keys.iter().map(one).collect()
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let what = format!("cannot read the SSH key {}", path.display());
    let done = match path == Path::new("-") {
        true => std::io::stdin().lock().take(MOST).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)),
    };
    done.or_usage(what)?;
    Ok(text)
}
