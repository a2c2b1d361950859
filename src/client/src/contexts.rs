//! Calls about contexts of organizations and variables of projects.

use crate::{
    Operator,
    call::{Call, ClientError, escaped, escaped_path},
};
use awc::http::Method;
use protocol::contexts::{
    Context, ContextOwner, ContextVariable, NewContext, NewRestriction, ProjectVariable, Restriction, Value,
};
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_page_token: Option<String>,
}

impl Operator {
    /// All pages of a list.
    pub(crate) async fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let next = token.map(|token| format!("{mark}page-token={}", escaped(&token)));
            let path = format!("{path}{}", next.unwrap_or_default());
            let page: Page<T> = self.get(path).send(&self.link).await?.read()?;
            all.extend(page.items);
            token = page.next_page_token;
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// The contexts of an organization.
    pub async fn contexts(&self, organization: &str) -> Result<Vec<Context>, ClientError> {
        self.pages(&format!("/api/v2/context?owner-slug={}", escaped(organization))).await
    }

    /// Makes one.
    pub async fn create_context(&self, organization: &str, name: &str) -> Result<Context, ClientError> {
        let kind = Some("organization".to_owned());
        let owner = ContextOwner { slug: Some(organization.to_owned()), id: None, kind };
        let new = NewContext { name: name.to_owned(), owner };
        self.create("/api/v2/context").json(&new).send(&self.link).await?.read()
    }

    /// Removes one with its variables.
    pub async fn delete_context(&self, id: &str) -> Result<(), ClientError> {
        self.delete(format!("/api/v2/context/{}", escaped(id))).send(&self.link).await?.done()
    }

    /// The variables of a context, without their values.
    pub async fn context_variables(&self, id: &str) -> Result<Vec<ContextVariable>, ClientError> {
        self.pages(&format!("/api/v2/context/{}/environment-variable", escaped(id))).await
    }

    /// Gives one a value.
    pub async fn set_context_variable(&self, id: &str, name: &str, value: &str) -> Result<(), ClientError> {
        let path = format!("/api/v2/context/{}/environment-variable/{}", escaped(id), escaped(name));
        let value = Value { value: value.to_owned() };
        Call::new(Method::PUT, path, &self.token).json(&value).send(&self.link).await?.done()
    }

    /// Takes one away.
    pub async fn remove_context_variable(&self, id: &str, name: &str) -> Result<(), ClientError> {
        let path = format!("/api/v2/context/{}/environment-variable/{}", escaped(id), escaped(name));
        self.delete(path).send(&self.link).await?.done()
    }

    /// What is to hold where a context is used.
    pub async fn restrictions(&self, id: &str) -> Result<Vec<Restriction>, ClientError> {
        self.pages(&format!("/api/v2/context/{}/restrictions", escaped(id))).await
    }

    /// Has a context used only where something holds.
    pub async fn restrict(&self, id: &str, new: &NewRestriction) -> Result<Restriction, ClientError> {
        let path = format!("/api/v2/context/{}/restrictions", escaped(id));
        self.create(&path).json(new).send(&self.link).await?.read()
    }

    /// Takes a restriction away.
    pub async fn unrestrict(&self, id: &str, restriction: &str) -> Result<(), ClientError> {
        let path = format!("/api/v2/context/{}/restrictions/{}", escaped(id), escaped(restriction));
        self.delete(path).send(&self.link).await?.done()
    }

    /// The id of a project that is known.
    pub async fn project_id(&self, project: &str) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Project {
            id: String,
        }
        let path = format!("/api/v2/project/{}", escaped_path(project));
        Ok(self.get(path).send(&self.link).await?.read::<Project>()?.id)
    }

    /// The variables of a project, of each value the end.
    pub async fn project_variables(&self, project: &str) -> Result<Vec<ProjectVariable>, ClientError> {
        self.pages(&format!("/api/v2/project/{}/envvar", escaped_path(project))).await
    }

    /// Gives one a value.
    pub async fn set_project_variable(
        &self,
        project: &str,
        new: &ProjectVariable,
    ) -> Result<(), ClientError> {
        let path = format!("/api/v2/project/{}/envvar", escaped_path(project));
        self.create(&path).json(new).send(&self.link).await?.done()
    }

    /// Takes one away.
    pub async fn remove_project_variable(&self, project: &str, name: &str) -> Result<(), ClientError> {
        let path = format!("/api/v2/project/{}/envvar/{}", escaped_path(project), escaped(name));
        self.delete(path).send(&self.link).await?.done()
    }
}
