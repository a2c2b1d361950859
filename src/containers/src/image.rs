//! Images: their names, and what they say about the containers made of them.

use crate::{
    engine::{Again, Engine, EngineError},
    order::Primary,
};
use bollard::models::ImageInspect;
use protocol::container::Resident;

/// By which an image asks for its entrypoint beside the steps.
const PRESERVE: &str = "com.circleci.preserve-entrypoint";

/// The name as an engine is to hear it: with a tag or a digest, for without one all tags are meant. None: no image can
/// have this name. It becomes part of an address, so nothing else may be in it.
pub(crate) fn reference(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(allowed)
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let last = name.rsplit('/').next().unwrap_or_default();
    let has_tag = last.contains([':', '@']);
    is_name.then(|| if has_tag { name.to_owned() } else { format!("{name}:latest") })
}

impl Engine {
    /// What is known of an image that is there.
    pub(crate) async fn image(&self, reference: &str) -> Result<ImageInspect, EngineError> {
        let doing = format_args!("look at image {reference}");
        self.call(doing, Again::Always, || self.docker.inspect_image(reference)).await
    }
}

/// What the task-agent in a primary of this image is told.
pub(crate) fn resident(primary: &Primary, image: ImageInspect) -> Resident {
    let config = image.config.unwrap_or_default();
    let of_image = config.env.iter().flatten().rev().find_map(|variable| variable.strip_prefix("HOME="));
    let configured = primary.environment.iter().rev().find(|(name, _)| name == "HOME");
    let home = configured.map(|(_, home)| home.clone()).or(of_image.map(str::to_owned));
    let preserves = config.labels.iter().flatten().any(|(label, value)| label == PRESERVE && value == "true");
    let entrypoint = config.entrypoint.unwrap_or_default();
    let beside = match (&primary.entrypoint, &primary.command) {
        (Some(entrypoint), command) => join(entrypoint.clone(), command.clone().unwrap_or_default()),
        (None, Some(command)) => join(entrypoint, command.clone()),
        (None, None) if preserves => join(entrypoint, config.cmd.unwrap_or_default()),
        (None, None) => Vec::new(),
    };
    let user = primary.user.clone().or(config.user).unwrap_or_default();
    Resident { user, home, working_directory: primary.working_directory.clone(), beside }
}

fn join(mut first: Vec<String>, then: Vec<String>) -> Vec<String> {
    first.extend(then);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ImageConfig;

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        for (name, meant) in [
            ("alpine", Some("alpine:latest")),
            ("cimg/node:20.1", Some("cimg/node:20.1")),
            ("host:5000/team/app", Some("host:5000/team/app:latest")),
            ("app@sha256:00ff", Some("app@sha256:00ff")),
            ("", None),
            ("../containers/x", None),
            ("a/../../containers/x", None),
            ("a//b", None),
            ("a b", None),
            ("a?x=y", None),
            ("-a", None),
        ] {
            assert_eq!(reference(name).as_deref(), meant, "{name}");
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn image(preserves: bool) -> ImageInspect {
        let labels = preserves.then(|| [(PRESERVE.to_owned(), "true".to_owned())].into());
        let config = ImageConfig {
            user: Some("circleci".to_owned()),
            env: Some(words(&["PATH=/bin", "HOME=/home/app"])),
            entrypoint: Some(words(&["/entry"])),
            cmd: Some(words(&["serve"])),
            labels,
            ..ImageConfig::default()
        };
        ImageInspect { config: Some(config), ..ImageInspect::default() }
    }

    #[test]
    fn an_images_entrypoint_runs_only_where_image_or_configuration_ask_for_it() {
        let beside = |entrypoint: Option<&[&str]>, command: Option<&[&str]>, preserves| {
            let primary = Primary {
                entrypoint: entrypoint.map(words),
                command: command.map(words),
                ..Primary::default()
            };
            resident(&primary, image(preserves)).beside
        };
        assert_eq!(beside(None, None, false), words(&[]));
        assert_eq!(beside(None, None, true), words(&["/entry", "serve"]));
        assert_eq!(beside(None, Some(&["other"]), false), words(&["/entry", "other"]));
        assert_eq!(beside(Some(&["/mine"]), None, true), words(&["/mine"]));
        assert_eq!(beside(Some(&["/mine"]), Some(&["other"]), false), words(&["/mine", "other"]));
    }

    #[test]
    fn the_configurations_user_and_home_come_before_the_images() {
        let of_image = resident(&Primary::default(), image(false));
        assert_eq!((of_image.user.as_str(), of_image.home.as_deref()), ("circleci", Some("/home/app")));
        let environment = vec![("HOME".to_owned(), "/h".to_owned())];
        let primary = Primary { user: Some("root".to_owned()), environment, ..Primary::default() };
        let configured = resident(&primary, image(false));
        assert_eq!((configured.user.as_str(), configured.home.as_deref()), ("root", Some("/h")));
        assert_eq!(resident(&Primary::default(), ImageInspect::default()), Resident::default());
    }
}
