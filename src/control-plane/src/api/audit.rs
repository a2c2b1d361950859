//! The audit log, for those who administer what it tells of.

use super::{
    may::{Administer, May, Of, Stated},
    paging::{MOST, Page, PageQuery},
};
use crate::{
    plane::{Plane, clock::rfc3339, people::canonical},
    refusal::Refusal,
};
use actix_web::web::{Data, Json, Query, ServiceConfig, get, resource};
use protocol::people::Done;
use serde::Deserialize;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/api/v3/audit").route(get().to(audit)));
}

/// Of which organization; none: all of it.
#[derive(Debug, Deserialize)]
struct Which {
    organization: Option<String>,
    #[serde(flatten)]
    page: PageQuery,
}

/// The newest lines first.
async fn audit(
    caller: May<Administer, Stated>,
    plane: Data<Plane>,
    which: Query<Which>,
) -> Result<Json<Page<Done>>, Refusal> {
    let of = which.organization.clone().map_or(Of::Everything, Of::Organization);
    caller.within(&plane, &of).await?;
    let organization = which.organization.as_deref().map(canonical);
    let before = which.page.number()?;
    let mut rows = plane.store.audit(organization.as_deref(), before, MOST + 1).await?;
    let is_last = rows.len() <= MOST as usize;
    rows.truncate(MOST as usize);
    let next_page_token = rows.last().filter(|_| !is_last).map(|row| row.number.to_string());
    let shown = |row: store::AuditRow| Done {
        number: row.number,
        at: rfc3339(row.at_ms),
        actor: row.actor,
        action: row.action,
        organization: row.organization,
        subject: row.subject,
    };
    Ok(Json(Page { items: rows.into_iter().map(shown).collect(), next_page_token }))
}
