//! Images before the containers: there already, or pulled, with what the registry says told as it comes.

use crate::{
    engine::{Again, Engine, EngineError},
    image::reference,
};
use bollard::{
    auth::DockerCredentials, errors::Error, models::CreateImageInfo, query_parameters::CreateImageOptions,
};
use futures_util::{StreamExt, pin_mut};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::Duration};
use tokio::time::{Instant, timeout};

/// The longest that one image may take.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often is told how far it is.
const TOLD: Duration = Duration::from_secs(3);
/// How often it is begun again where the engine went away meanwhile.
const TRIES: usize = 3;

/// When an image is asked of its registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// If this host does not have it. A private image that is there then is there for every job.
    #[default]
    Missing,
    /// For every task: a tag may mean another image by now. What did not change is not sent again.
    Always,
    /// Never: only images that an administrator put there.
    Never,
}

/// An image that is to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// As the configuration has it.
    pub image: String,
    /// For a registry that asks for one.
    pub login: Option<Login>,
}

/// Who asks a registry. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// An image that is not there and cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No image has such a name.
    #[error("`{0}` is no name of an image: write it as `registry/name:tag`")]
    Name(String),
    /// It is not there, and the policy is not to ask for it.
    #[error(
        "image {0} is not on this host, and its launch-agent pulls none (containers.pull: never): put it there, or choose one that is"
    )]
    Never(String),
    /// The registry or the engine has a reason.
    #[error("image {image} cannot be pulled: {answer}; {advice}")]
    Refused {
        /// Which.
        image: String,
        /// In their words.
        answer: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// It takes too long.
    #[error("image {image} was not pulled within {} minutes; it was given up", waited.as_secs() / 60)]
    TooLong {
        /// Which.
        image: String,
        /// How long it took.
        waited: Duration,
    },
    /// The engine does not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Sees to it that the images are there, one after the other, and tells what goes on, in lines for people.
    pub async fn prepare(
        &self,
        wanted: &[Wanted],
        pull: Pull,
        mut tell: impl FnMut(&str),
    ) -> Result<(), PullError> {
        let mut seen = Vec::new();
        for one in wanted {
            if !seen.contains(&one) {
                self.prepare_one(one, pull, &mut tell).await?;
                seen.push(one);
            }
        }
        Ok(())
    }

    async fn prepare_one(
        &self,
        wanted: &Wanted,
        pull: Pull,
        tell: &mut impl FnMut(&str),
    ) -> Result<(), PullError> {
        let name = reference(&wanted.image).ok_or_else(|| PullError::Name(wanted.image.clone()))?;
        let is_there = match self.image(&name).await {
            Ok(_) => true,
            Err(error) if error.is_missing() => false,
            Err(error) => return Err(error.into()),
        };
        match (pull, is_there) {
            (Pull::Missing | Pull::Never, true) => {
                tell(&format!("Image {name} is here."));
                Ok(())
            }
            (Pull::Never, false) => Err(PullError::Never(name)),
            _ => self.pull(&name, wanted.login.as_ref(), tell).await,
        }
    }

    async fn pull(
        &self,
        name: &str,
        login: Option<&Login>,
        tell: &mut impl FnMut(&str),
    ) -> Result<(), PullError> {
        tell(&format!("Pulling image {name}."));
        let begun = Instant::now();
        for attempt in 1.. {
            let left = LONGEST.saturating_sub(begun.elapsed());
            let Ok(pulled) = timeout(left, self.stream(name, login, tell)).await else {
                return Err(PullError::TooLong { image: name.to_owned(), waited: begun.elapsed() });
            };
            match pulled.map_err(|error| self.failed(format!("pull image {name}"), begun.elapsed(), error)) {
                Ok(()) => break,
                Err(EngineError::Refused { message, .. }) => return Err(refused(name, login, message)),
                Err(unknown) if attempt == TRIES => return Err(unknown.into()),
                Err(_) => {
                    tell("The container engine went away meanwhile; waiting for it to pull again.");
                    self.call("say that it is there", Again::Always, || self.docker.ping()).await?;
                }
            }
        }
        // Some engines end well without an image: what they last said was why.
        match self.image(name).await {
            Err(error) if error.is_missing() => return Err(refused(name, login, error.to_string())),
            answer => answer?,
        };
        tell(&format!("Pulled image {name} in {:.1} s.", begun.elapsed().as_secs_f64()));
        Ok(())
    }

    async fn stream(
        &self,
        name: &str,
        login: Option<&Login>,
        tell: &mut impl FnMut(&str),
    ) -> Result<(), Error> {
        let credentials = login.map(|login| DockerCredentials {
            username: Some(login.username.clone()),
            password: Some(login.password.clone()),
            serveraddress: Some(registry(name).to_owned()),
            ..DockerCredentials::default()
        });
        let options =
            CreateImageOptions { from_image: Some(name.to_owned()), ..CreateImageOptions::default() };
        let answers = self.docker.create_image(Some(options), None, credentials);
        pin_mut!(answers);
        let (mut layers, mut told) = (Layers::default(), Instant::now());
        while let Some(answer) = answers.next().await {
            layers.hear(answer?);
            if told.elapsed() >= TOLD && !layers.0.is_empty() {
                tell(&layers.to_string());
                told = Instant::now();
            }
        }
        Ok(())
    }
}

fn refused(image: &str, login: Option<&Login>, answer: String) -> PullError {
    let advice = if login.is_some() {
        "check the image's name and tag, and the username and password of its `auth`"
    } else {
        "check the image's name and tag; a private image needs `auth` with a username and a password"
    };
    PullError::Refused { image: image.to_owned(), answer, advice }
}

/// The registry of an image, as engines find it in its name.
fn registry(name: &str) -> &str {
    let first = name.split_once('/').map(|(first, _)| first);
    first
        .filter(|first| first.contains(['.', ':']) || *first == "localhost")
        .unwrap_or("https://index.docker.io/v1/")
}

/// How far each layer is: bytes here, bytes in all, whether it is done.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, (u64, u64, bool)>);

/// More layers than an image has: an engine that says more is not to fill memory.
const MOST_LAYERS: usize = 1024;

impl Layers {
    fn hear(&mut self, answer: CreateImageInfo) {
        let (Some(id), Some(status)) = (answer.id, answer.status) else { return };
        if self.0.len() >= MOST_LAYERS || status.starts_with("Pulling from") {
            return;
        }
        let layer = self.0.entry(id).or_default();
        let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        if let Some(progress) = answer.progress_detail.filter(|_| status == "Downloading") {
            (layer.0, layer.1) = (count(progress.current), count(progress.total));
        }
        if ["Download complete", "Pull complete", "Already exists"].contains(&status.as_str()) {
            (layer.0, layer.2) = (layer.1, true);
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.0.values().filter(|layer| layer.2).count();
        let (here, all) = self.0.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        write!(f, "{done} of {} layers", self.0.len())?;
        match all {
            0 => Ok(()),
            all => write!(f, ", {} of {} MiB", here >> 20, all >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ProgressDetail;

    #[test]
    fn progress_is_counted_over_all_layers() {
        let mut layers = Layers::default();
        let mut hear = |id: &str, status: &str, bytes: Option<(i64, i64)>| {
            let progress_detail =
                bytes.map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) });
            layers.hear(CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail,
                ..CreateImageInfo::default()
            });
            layers.to_string()
        };
        hear("latest", "Pulling from library/x", None);
        assert_eq!(hear("a", "Already exists", None), "1 of 1 layers");
        assert_eq!(hear("b", "Downloading", Some((3 << 20, 10 << 20))), "1 of 2 layers, 3 of 10 MiB");
        assert_eq!(hear("b", "Extracting", Some((1, 2))), "1 of 2 layers, 3 of 10 MiB");
        assert_eq!(hear("b", "Pull complete", None), "2 of 2 layers, 10 of 10 MiB");
    }

    #[test]
    fn the_registry_stands_before_the_first_slash_if_it_looks_like_a_host() {
        for (name, of) in [
            ("alpine:3", "https://index.docker.io/v1/"),
            ("cimg/node:20", "https://index.docker.io/v1/"),
            ("localhost/x:1", "localhost"),
            ("host:5000/a/b:1", "host:5000"),
            ("reg.example.com/a:1", "reg.example.com"),
        ] {
            assert_eq!(registry(name), of);
        }
    }

    #[test]
    fn no_password_is_printed() {
        let login = Login { username: "u".to_owned(), password: "very-secret".to_owned() };
        assert!(
            !format!("{:?}", Wanted { image: "x".to_owned(), login: Some(login) }).contains("very-secret")
        );
    }
}
