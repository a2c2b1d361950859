//! Calls about people, their roles, and the tokens of people and of projects.

use crate::{
    Operator,
    call::{Call, ClientError, escaped, escaped_path},
};
use awc::http::Method;
use protocol::{
    api::Items,
    people::{ApiToken, Done, Member, NewApiToken, NewIdentity, NewPerson, Person, Rotated},
};
use serde::Deserialize;

/// Whose tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'w> {
    /// A person's, by their login; `me`: the caller's own.
    Person(&'w str),
    /// A project's.
    Project(&'w str),
}

impl Whose<'_> {
    fn path(self) -> String {
        match self {
            Self::Person(login) => format!("/api/v3/people/{}/tokens", escaped(login)),
            Self::Project(project) => format!("/api/v3/project-tokens/{}", escaped_path(project)),
        }
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Done>,
    next_page_token: Option<String>,
}

fn account_path(login: &str, account: &str) -> String {
    format!("/api/v3/people/{}/accounts/{}", escaped(login), escaped_path(account))
}

impl Operator {
    /// The newest lines of the audit log, of one organization or of all, at most that many: the newest first.
    pub async fn audit(&self, organization: Option<&str>, most: usize) -> Result<Vec<Done>, ClientError> {
        let of = organization.map(|name| format!("organization={}", escaped(name))).unwrap_or_default();
        let (mut lines, mut page) = (Vec::new(), String::new());
        while lines.len() < most {
            let answer = self.get(format!("/api/v3/audit?{of}{page}")).send(&self.link).await?;
            let Page { items, next_page_token } = answer.read()?;
            lines.extend(items);
            let Some(next) = next_page_token else { break };
            page = format!("&page-token={}", escaped(&next));
        }
        lines.truncate(most);
        Ok(lines)
    }

    /// Has all that lies sealed sealed with a new key; how many values that were.
    pub async fn rotate_key(&self) -> Result<u64, ClientError> {
        let answer = self.create("/api/v3/server/rotate-key").send(&self.link).await?;
        Ok(answer.read::<Rotated>()?.values)
    }

    /// Everybody who is known.
    pub async fn people(&self) -> Result<Vec<Person>, ClientError> {
        Ok(self.get("/api/v3/people").send(&self.link).await?.read::<Items<Person>>()?.items)
    }

    /// Makes somebody known.
    pub async fn create_person(&self, new: &NewPerson) -> Result<Person, ClientError> {
        self.create("/api/v3/people").json(new).send(&self.link).await?.read()
    }

    /// Forgets somebody, with their roles and tokens.
    pub async fn delete_person(&self, login: &str) -> Result<(), ClientError> {
        self.delete(format!("/api/v3/people/{}", escaped(login))).send(&self.link).await?.done()
    }

    /// Says who somebody is at the provider where people sign in, in the place of whoever that was.
    pub async fn set_identity(&self, login: &str, new: &NewIdentity) -> Result<Person, ClientError> {
        let path = format!("/api/v3/people/{}/identity", escaped(login));
        Call::new(Method::PUT, path, &self.token).json(new).send(&self.link).await?.read()
    }

    /// Has somebody come by tokens alone.
    pub async fn remove_identity(&self, login: &str) -> Result<(), ClientError> {
        self.delete(format!("/api/v3/people/{}/identity", escaped(login))).send(&self.link).await?.done()
    }

    /// Says whose an account at a provider of repositories is.
    pub async fn set_account(&self, login: &str, account: &str) -> Result<Person, ClientError> {
        let path = account_path(login, account);
        Call::new(Method::PUT, path, &self.token).send(&self.link).await?.read()
    }

    /// Has it be nobody's.
    pub async fn remove_account(&self, login: &str, account: &str) -> Result<(), ClientError> {
        self.delete(account_path(login, account)).send(&self.link).await?.done()
    }

    /// Who has a role in an organization.
    pub async fn members(&self, organization: &str) -> Result<Vec<Member>, ClientError> {
        let path = format!("/api/v3/members/{}", escaped_path(organization));
        Ok(self.get(path).send(&self.link).await?.read::<Items<Member>>()?.items)
    }

    /// Gives somebody a role in an organization.
    pub async fn give_role(&self, member: &Member) -> Result<Member, ClientError> {
        let path = format!("/api/v3/members/{}", escaped_path(&member.organization));
        Call::new(Method::PUT, path, &self.token).json(member).send(&self.link).await?.read()
    }

    /// Takes it away again.
    pub async fn take_role(&self, organization: &str, login: &str) -> Result<(), ClientError> {
        let path = format!("/api/v3/members/{}?login={}", escaped_path(organization), escaped(login));
        self.delete(path).send(&self.link).await?.done()
    }

    /// The tokens of a person or a project, without their secrets.
    pub async fn api_tokens(&self, whose: Whose<'_>) -> Result<Vec<ApiToken>, ClientError> {
        Ok(self.get(whose.path()).send(&self.link).await?.read::<Items<ApiToken>>()?.items)
    }

    /// Makes one; its secret is in this answer and in no other.
    pub async fn create_api_token(
        &self,
        whose: Whose<'_>,
        new: &NewApiToken,
    ) -> Result<ApiToken, ClientError> {
        self.create(&whose.path()).json(new).send(&self.link).await?.read()
    }

    /// Removes one: it stands for nothing any more.
    pub async fn delete_api_token(&self, whose: Whose<'_>, id: &str) -> Result<(), ClientError> {
        let path = match whose {
            Whose::Person(_) => format!("{}/{}", whose.path(), escaped(id)),
            Whose::Project(_) => format!("{}?id={}", whose.path(), escaped(id)),
        };
        self.delete(path).send(&self.link).await?.done()
    }
}
