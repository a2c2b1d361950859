//! The images of a job, as a configuration writes them and as a launch-agent gets them.

use serde::{Deserialize, Serialize};

/// The containers of one task: the first is the one its steps run in, the others are its services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containers {
    /// At least one.
    pub images: Vec<Image>,
    /// As written: a launch-agent has limits for its name, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_class: Option<String>,
    /// What people should know of them, for the launch-agent's own step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One item of `docker:`. In a compiled job its credentials are as written; in a task spec they are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Image {
    /// As written: `postgres:16`, `registry.example/team/app@sha256:…`.
    pub image: String,
    /// By which the other containers reach it, besides `localhost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Instead of the image's own; of the first image, run beside the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Instead of the image's own; of the first image, run beside the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Instead of the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Over the image's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<(String, String)>,
    /// For its registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
}

/// What a registry wants to know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// The account.
    pub username: String,
    /// Its password or token.
    pub password: String,
}

/// Without what nobody else may know.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:***", self.username)
    }
}

/// An image as earlier versions wrote it, by its name alone, or as this one does.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Whole {
        image: String,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        entrypoint: Option<Vec<String>>,
        #[serde(default)]
        command: Option<Vec<String>>,
        #[serde(default)]
        user: Option<String>,
        #[serde(default)]
        environment: Vec<(String, String)>,
        #[serde(default)]
        auth: Option<Auth>,
    },
}

impl From<Written> for Image {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(image) => Self { image, ..Self::default() },
            Written::Whole { image, name, entrypoint, command, user, environment, auth } => {
                Self { image, name, entrypoint, command, user, environment, auth }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_log_shows_a_password() {
        let auth = Auth { username: "ann".to_owned(), password: "hunter2".to_owned() };
        let image = Image { auth: Some(auth), ..Image::default() };
        assert!(!format!("{image:?}").contains("hunter2"));
    }

    #[test]
    fn an_image_by_its_name_alone_is_read_too() {
        let named = |text: &str| serde_json::from_str::<Image>(text).unwrap();
        assert_eq!(named(r#""app:1""#), named(r#"{"image":"app:1"}"#));
    }
}
