//! Calls about webhooks that projects have sent.

use crate::{
    Operator,
    call::{ClientError, escaped},
};
use protocol::outgoing::{NewWebhook, Webhook};

impl Operator {
    /// The webhooks of the project of this id, the oldest first.
    pub async fn webhooks(&self, project: &str) -> Result<Vec<Webhook>, ClientError> {
        self.pages(&format!("/api/v2/webhook?scope-id={}&scope-type=project", escaped(project))).await
    }

    /// Makes one.
    pub async fn create_webhook(&self, new: &NewWebhook) -> Result<Webhook, ClientError> {
        self.create("/api/v2/webhook").json(new).send(&self.link).await?.read()
    }

    /// Takes one away again.
    pub async fn delete_webhook(&self, id: &str) -> Result<(), ClientError> {
        self.delete(format!("/api/v2/webhook/{}", escaped(id))).send(&self.link).await?.done()
    }
}
