//! A launch-agent for the tests of steps: keeps what it is given and answers as the real one and its control plane would.

use crate::{
    carry::{Carry, Ended},
    commands::{CommandError, Commands},
    place::Place,
};
use protocol::{
    frame::{Answer, Wanted},
    transfer::Writer,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Everything it was given so far.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) stored: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) layers: Mutex<Vec<Vec<u8>>>,
    /// Where it says that an engine listens.
    pub(crate) engine: PathBuf,
    /// Of the layers.
    pub(crate) writers: Mutex<Vec<Writer>>,
    /// How many bundles of artifacts came.
    pub(crate) bundles: Mutex<usize>,
    /// Answers every request with this refusal.
    pub(crate) refusal: Option<String>,
}

impl Scripted {
    pub(crate) fn keep(&self, name: &str, content: &[u8]) {
        self.stored.lock().unwrap().insert(name.to_owned(), content.to_vec());
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.stored.lock().unwrap().keys().cloned().collect()
    }

    fn restore(&self, keys: &[String]) -> (Answer, Option<File>) {
        let stored = self.stored.lock().unwrap();
        let found =
            keys.iter().find_map(|key| stored.iter().find(|(saved, _)| saved.starts_with(key.as_str())));
        match found {
            None => (Answer::NoCache, None),
            Some((key, content)) => {
                (Answer::Cache { key: key.clone(), size: content.len() as u64 }, Some(holding(content)))
            }
        }
    }

    fn layer(&self, index: u32) -> (Answer, Option<File>) {
        match self.layers.lock().unwrap().get(index as usize) {
            None => (Answer::NoLayer, None),
            Some(layer) => {
                let (job, size) = ("build".to_owned(), layer.len() as u64);
                let writer = self.writers.lock().unwrap().get(index as usize).cloned();
                (Answer::Layer { job, size, writer }, Some(holding(layer)))
            }
        }
    }

    fn unbundle(&self, bundle: &[u8]) -> (Answer, Option<File>) {
        let tail = *bundle.last_chunk().unwrap();
        let range = protocol::bundle::table_range(bundle.len() as u64, tail).unwrap();
        let part = |start: u64, end: u64| {
            zstd::decode_all(&bundle[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]).unwrap()
        };
        let members: Vec<protocol::bundle::Member> =
            serde_json::from_slice(&part(range.start, range.end)).unwrap();
        protocol::bundle::check(&members, &range).unwrap();
        for member in &members {
            let content = part(member.start, member.start + member.stored);
            assert_eq!(content.len() as u64, member.artifact.content.size);
            self.keep(&member.artifact.path, &content);
        }
        *self.bundles.lock().unwrap() += 1;
        (Answer::Stored { size: bundle.len() as u64 }, None)
    }

    fn store(&self, name: &str, content: Vec<u8>) -> (Answer, Option<File>) {
        let size = content.len() as u64;
        self.keep(name, &content);
        (Answer::Stored { size }, None)
    }
}

impl Carry for Scripted {
    fn ask(&self, wanted: Wanted, file: Option<File>) -> Result<(Answer, Option<File>), Ended> {
        let mut content = Vec::new();
        if let Some(mut file) = file {
            file.rewind().unwrap();
            file.read_to_end(&mut content).unwrap();
        }
        if let Some(message) = &self.refusal {
            return Ok((Answer::Refused { message: message.clone() }, None));
        }
        Ok(match wanted {
            Wanted::LendFile => (Answer::Lent, Some(tempfile::tempfile().unwrap())),
            Wanted::StoreArtifact { path } => self.store(&path, content),
            Wanted::StoreBundle => self.unbundle(&content),
            Wanted::StoreTestResults => self.store("tests", content),
            Wanted::FormerTests => {
                let former = self.stored.lock().unwrap().get("former").cloned().unwrap_or(b"{}".to_vec());
                (Answer::FormerTests { size: former.len() as u64 }, Some(holding(&former)))
            }
            Wanted::SaveCache { key } => self.store(&key, content),
            Wanted::FindCache { key } if self.names().contains(&key) => (Answer::AlreadySaved, None),
            Wanted::FindCache { .. } => (Answer::NoCache, None),
            Wanted::RestoreCache { keys } => self.restore(&keys),
            Wanted::PersistLayer => {
                self.layers.lock().unwrap().push(content);
                (Answer::Stored { size: 1 }, None)
            }
            Wanted::AttachLayer { index } => self.layer(index),
            Wanted::StartEngine => {
                let notes = vec!["Podman 1".to_owned()];
                (Answer::Engine { socket: self.engine.clone(), notes }, None)
            }
            Wanted::TakeMirror { .. } => match self.restore(&["mirror".to_owned()]) {
                (Answer::Cache { size, .. }, file) => (Answer::Mirror { size }, file),
                _ => (Answer::NoMirror, None),
            },
            Wanted::KeepMirror { .. } => self.store("mirror", content),
            Wanted::Token { audience } => {
                (Answer::Content { size: 1 }, Some(holding(audience.join(",").as_bytes())))
            }
            Wanted::ContinuePipeline => (Answer::Reply { status: 200, body: "{}".to_owned() }, None),
            Wanted::FetchSource => {
                let (_, archive) = self.restore(&["source".to_owned()]);
                (Answer::Source { size: 1 }, archive)
            }
        })
    }
}

impl Commands for Scripted {
    fn run(&self, words: &[&str], directory: &Path, log: &mut dyn Write) -> Result<i32, CommandError> {
        let mut command = std::process::Command::new(words[0]);
        command.args(&words[1..]).current_dir(directory).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = command.output()?;
        log.write_all(&[output.stdout, output.stderr].concat()).unwrap();
        Ok(output.status.code().unwrap())
    }
}

fn holding(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

/// A task that lives in `root`, its working directory made.
pub(crate) fn place(root: &Path) -> Place {
    std::fs::create_dir_all(root.join("project")).unwrap();
    Place {
        home: root.to_owned(),
        temporary: root.join("tmp"),
        working_directory: root.join("project"),
        variables: BTreeMap::from([("CIRCLE_BRANCH".to_owned(), "main".to_owned())]),
    }
}

/// What a step said, and its text with the task's root as `~`.
pub(crate) fn told(log: &[u8], root: &Path) -> String {
    String::from_utf8_lossy(log).replace(&*root.to_string_lossy(), "~")
}
