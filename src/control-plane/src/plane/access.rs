//! Who may call: the operator by one token, people and projects by their own, launch-agents by tokens of their resource
//! classes, and where a run gives one out, whoever holds the token that only approves.

use super::{
    Plane,
    clock::wall_ms,
    people::{People, Somebody, Who},
    token::{TokenHash, are_same, hash},
};
use protocol::ResourceClass;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};
use store::{ApiTokenRow, Bearer, ClassRow, Command, Rights, Store, StoreError, TokenRow, Write};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Classes and tokens, as they are in the store.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) operator: TokenHash,
    approver: Option<TokenHash>,
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    classes: Vec<ClassRow>,
    tokens: HashMap<TokenHash, TokenRow>,
    people: People,
}

impl Tables {
    fn add_class(&mut self, row: ClassRow) {
        self.classes.push(row);
        self.classes.sort_by(|a, b| a.class.as_str().cmp(b.class.as_str()));
    }

    /// Its tokens, if any were left, go with it.
    fn remove_class(&mut self, id: Uuid) {
        let Some(place) = self.classes.iter().position(|row| row.id == id) else { return };
        let removed = self.classes.remove(place);
        self.tokens.retain(|_, row| row.class != removed.class);
    }
}

impl Plane {
    /// Changes who may what, with what tells of it; the number is how many rows that were. Queued at once, and known here as
    /// soon as it is on disk: no caller who goes away meanwhile leaves a removed token good.
    pub(crate) fn change_access(
        self: &Arc<Self>,
        changes: Vec<Write>,
    ) -> impl Future<Output = Result<u64, StoreError>> + use<> {
        let (tell, told) = oneshot::channel();
        let (plane, writes) = (self.clone(), changes.clone());
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            if result.is_ok() {
                changes.into_iter().for_each(|change| plane.access.apply(change));
            }
            // Who asked may have gone; the change is made all the same.
            let _ = tell.send(result.map(|numbers| numbers.into_iter().sum()));
        });
        self.store.submit(Command { guard: None, writes, done });
        async { told.await.unwrap_or(Err(StoreError::Stopped)) }
    }

    /// Whoever a token stands for, if it is the operator's, a person's or a project's.
    pub(crate) fn who(&self, token: &str) -> Option<Who> {
        let (hash, now_ms) = (hash(token), wall_ms());
        if are_same(&hash, &self.access.operator) {
            return Some(Who::Operator);
        }
        if self.access.approver.is_some_and(|approver| are_same(&hash, &approver)) {
            return Some(Who::Approver);
        }
        let (who, noted) = self.access.tables().people.who(&hash, now_ms)?;
        if let Some(id) = noted {
            let writes = vec![Write::Rights(Rights::TokenUsed(id, now_ms))];
            // One that is lost is noted with the next use.
            self.store.submit(Command { guard: None, writes, done: Box::new(|_| {}) });
        }
        Some(who)
    }
}

impl Access {
    /// Reads them all.
    pub(crate) async fn read(
        store: &Store,
        operator: TokenHash,
        approver: Option<TokenHash>,
    ) -> Result<Self, StoreError> {
        let classes = store.classes().await?;
        let tokens = store.tokens().await?.into_iter().map(|row| (row.hash, row)).collect();
        let people = People::read(store).await?;
        Ok(Self { operator, approver, tables: RwLock::new(Tables { classes, tokens, people }) })
    }

    fn apply(&self, change: Write) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            Write::Class(row) => tables.add_class(row),
            Write::RemoveClass { id, .. } => tables.remove_class(id),
            Write::ClassLimit(id, max_tasks) => {
                let limited = tables.classes.iter_mut().find(|row| row.id == id);
                limited.into_iter().for_each(|row| row.max_tasks = max_tasks);
            }
            Write::Token(row) => drop(tables.tokens.insert(row.hash, row)),
            Write::RemoveToken(id) => tables.tokens.retain(|_, row| row.id != id),
            Write::Rights(change) => tables.people.apply(change),
            // Beside what changes rights there may be what tells of it.
            _ => {}
        }
    }

    /// The class that a token may claim for.
    pub(crate) fn class_of(&self, token: &str) -> Option<ResourceClass> {
        self.tables().tokens.get(&hash(token)).map(|row| row.class.clone())
    }

    /// The class of a token, by its id.
    pub(crate) fn class_of_token(&self, id: Uuid) -> Option<ResourceClass> {
        self.tables().tokens.values().find(|row| row.id == id).map(|row| row.class.clone())
    }

    /// A class by its id.
    pub(crate) fn class(&self, id: Uuid) -> Option<ResourceClass> {
        self.tables().classes.iter().find(|row| row.id == id).map(|row| row.class.clone())
    }

    /// Somebody by their id.
    pub(crate) fn person(&self, id: Uuid) -> Option<Arc<Somebody>> {
        self.tables().people.person(id)
    }

    /// Whose an account at a provider is.
    pub(crate) fn of_account(&self, account: &str) -> Option<Arc<Somebody>> {
        self.tables().people.of_account(account)
    }

    /// Everybody who is known, by login.
    pub(crate) fn people(&self) -> Vec<Arc<Somebody>> {
        self.tables().people.all()
    }

    /// Tokens of people or projects, oldest first.
    pub(crate) fn api_tokens(&self, is_theirs: impl Fn(&Bearer) -> bool) -> Vec<ApiTokenRow> {
        self.tables().people.tokens(is_theirs)
    }

    /// A token of a person or project that has not ended, by its id, and whoever it stands for.
    pub(crate) fn api_token(&self, id: Uuid) -> Option<(ApiTokenRow, Who)> {
        self.tables().people.token(id, wall_ms()).map(|(row, who)| (row.clone(), who))
    }

    pub(crate) fn has_class(&self, class: &ResourceClass) -> bool {
        self.tables().classes.iter().any(|row| row.class == *class)
    }

    pub(crate) fn classes(&self) -> Vec<ClassRow> {
        self.tables().classes.clone()
    }

    /// The tokens of a class, oldest first.
    pub(crate) fn tokens(&self, class: &ResourceClass) -> Vec<TokenRow> {
        let mut tokens: Vec<_> =
            self.tables().tokens.values().filter(|row| row.class == *class).cloned().collect();
        tokens.sort_by_key(|row| (row.created_ms, row.id));
        tokens
    }

    fn tables(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}
