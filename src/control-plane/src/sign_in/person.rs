//! Who a visitor becomes here: the person whom an admin has linked to their identity, or nobody.

use super::{
    Identity, SignIns, Trouble,
    id_token::{LONGEST_SUBJECT, is_subject},
    identity,
};
use crate::{
    audit::{Deed, line},
    people::is_same,
    plane::{
        Plane,
        clock::wall_ms,
        people::{Somebody, Who},
        token,
    },
    refusal::Refusal,
};
use protocol::people::{EVERYWHERE, NewIdentity};
use std::sync::Arc;
use store::{ApiTokenRow, Bearer, IdentityRow, Rights, StoreError, Write};
use uuid::Uuid;

/// How long somebody is signed in, in milliseconds: then the provider is asked anew.
const SIGNED_IN_MS: i64 = 12 * 60 * 60 * 1000;
/// So many sign-ins of one person are good at once: a new one ends the oldest.
const MOST_SIGN_INS: usize = 20;
/// How the tokens begin that sign-ins are kept as. Nobody is ever told one.
const OF_SIGN_IN: &str = "RHWEB";

impl Plane {
    fn provider(&self) -> Result<&SignIns, Refusal> {
        self.sign_ins.as_ref().ok_or_else(|| {
            Refusal::Conflict(
                "nobody signs in by a provider here: start the server with --oidc-issuer".to_owned(),
            )
        })
    }

    /// Says who somebody is at the provider, in the place of whoever that was; their sign-ins end.
    pub(crate) async fn set_identity(
        self: &Arc<Self>,
        by: &Who,
        login: &str,
        new: NewIdentity,
    ) -> Result<Arc<Somebody>, Refusal> {
        let issuer = self.provider()?.issuer().to_owned();
        let (subject, email) = checked(new)?;
        let named = subject.as_ref().or(email.as_ref()).map(|name| format!("{login}: {name} of {issuer}"));
        let _turn = self.identities.lock().await;
        let person = self.somebody(login)?.row.id;
        let row = IdentityRow { person, issuer, subject, email, groups: Vec::new(), signed_in_ms: None };
        let changes = vec![
            Write::Rights(Rights::RemoveIdentity(person)),
            Write::Rights(Rights::Identity(row)),
            line(by, Deed::IdentitySet, EVERYWHERE, &named.unwrap_or_default()),
        ];
        self.change_access(changes).await.map_err(taken)?;
        self.somebody(login)
    }

    /// Has somebody come by their own tokens alone; their sign-ins end.
    pub(crate) async fn remove_identity(self: &Arc<Self>, by: &Who, login: &str) -> Result<(), Refusal> {
        let _turn = self.identities.lock().await;
        let somebody = self.somebody(login)?;
        if somebody.identity.is_none() {
            return Err(Refusal::Missing(format!("{login} is nobody at a provider")));
        }
        let change = Write::Rights(Rights::RemoveIdentity(somebody.row.id));
        self.change_access(vec![change, line(by, Deed::IdentityRemoved, EVERYWHERE, login)]).await?;
        Ok(())
    }

    /// Whom a visitor is known as, and what their sign-in is kept as; the first sign-in settles by which identity.
    pub(crate) async fn enter(self: &Arc<Self>, visitor: Identity) -> Result<(Who, ApiTokenRow), Trouble> {
        let _turn = self.identities.lock().await;
        let Some((somebody, row)) = self.known_as(&visitor) else {
            return Err(Trouble::Nobody(visitor.into()));
        };
        let (who, login) = (Who::Person(somebody.clone()), &somebody.row.login);
        let subject = format!("{} of {}", visitor.subject, visitor.issuer);
        let mut changes = Vec::new();
        if row.subject.is_none() {
            let named = row.email.as_deref().unwrap_or_default();
            changes.push(line(
                &who,
                Deed::IdentityBound,
                EVERYWHERE,
                &format!("{login}: {subject}, by {named}"),
            ));
        }
        let now = wall_ms();
        let settled = IdentityRow {
            subject: Some(visitor.subject),
            groups: visitor.groups,
            signed_in_ms: Some(now),
            ..row
        };
        changes.push(Write::Rights(Rights::Identity(settled)));
        let kept = kept(somebody.row.id, now);
        let over = self.over(somebody.row.id, now).into_iter();
        changes.extend(over.map(|id| Write::Rights(Rights::RemoveToken(id))));
        changes.push(Write::Rights(Rights::Token(kept.clone())));
        changes.push(line(&who, Deed::SignedIn, EVERYWHERE, &format!("the page, as {subject}")));
        self.change_access(changes).await.map_err(Refusal::from)?;
        Ok((who, kept))
    }

    /// By issuer and subject; or by an address that is theirs for certain, where nobody has come by that yet.
    fn known_as(&self, visitor: &Identity) -> Option<(Arc<Somebody>, IdentityRow)> {
        let known = self.access.people().into_iter().filter_map(|somebody| {
            let row = somebody.identity.clone().filter(|row| row.issuer == visitor.issuer)?;
            Some((somebody, row))
        });
        let known: Vec<_> = known.collect();
        let is_theirs = |row: &IdentityRow| row.subject.as_deref() == Some(&*visitor.subject);
        let email = visitor.verified_email();
        let is_expected =
            |row: &IdentityRow| row.subject.is_none() && email.is_some() && row.email.as_deref() == email;
        let found = known.iter().find(|(_, row)| is_theirs(row));
        found.or_else(|| known.iter().find(|(_, row)| is_expected(row))).cloned()
    }

    /// Sign-ins of a person that have ended, and the oldest where there are too many.
    fn over(&self, person: Uuid, now_ms: i64) -> Vec<Uuid> {
        let theirs = self.access.api_tokens(|bearer| is_same(bearer, &Bearer::Person(person)));
        let sign_ins = theirs.iter().filter(|row| row.expires_ms.is_some());
        let (good, ended): (Vec<_>, Vec<_>) = sign_ins.partition(|row| row.expires_ms > Some(now_ms));
        let too_many = (good.len() + 1).saturating_sub(MOST_SIGN_INS);
        ended.iter().chain(good.iter().take(too_many)).map(|row| row.id).collect()
    }

    /// Ends a sign-in at the provider; of whoever came by a token of their own nothing but the cookie goes.
    pub(crate) async fn sign_out(self: &Arc<Self>, who: &Who, kept: Option<Uuid>) -> Result<(), Refusal> {
        let own = kept.and_then(|id| self.access.api_token(id));
        let ended = own.filter(|(row, _)| row.expires_ms.is_some());
        let mut changes = vec![line(who, Deed::SignedOut, EVERYWHERE, "the page")];
        changes.extend(ended.map(|(row, _)| Write::Rights(Rights::RemoveToken(row.id))));
        self.change_access(changes).await?;
        Ok(())
    }
}

/// A sign-in is a token that nobody has seen, with an end.
fn kept(person: Uuid, now_ms: i64) -> ApiTokenRow {
    let (text, prefix) = token::new_token_of(OF_SIGN_IN);
    ApiTokenRow {
        id: Uuid::now_v7(),
        bearer: Bearer::Person(person),
        name: "sign-in on the page".to_owned(),
        prefix,
        hash: token::hash(&text),
        created_ms: now_ms,
        used_ms: None,
        expires_ms: Some(now_ms + SIGNED_IN_MS),
    }
}

/// Subject and address: one of them.
fn checked(new: NewIdentity) -> Result<(Option<String>, Option<String>), Refusal> {
    match (new.subject, new.email) {
        (Some(subject), None) if is_subject(&subject) => Ok((Some(subject), None)),
        (Some(_), None) => {
            Err(Refusal::Bad(format!("a subject wants 1 to {LONGEST_SUBJECT} bytes on one line")))
        }
        (None, Some(email)) => match identity::address(&email) {
            Some(address) => Ok((None, Some(address))),
            None => Err(Refusal::Bad(format!("`{email}` is no e-mail address: write ada@example.org"))),
        },
        _ => Err(Refusal::Bad("give `subject` or `email`, and not both".to_owned())),
    }
}

fn taken(error: StoreError) -> Refusal {
    match error {
        StoreError::Conflict(_) => {
            Refusal::Conflict("somebody else is known by that already: take it from them first".to_owned())
        }
        other => other.into(),
    }
}
