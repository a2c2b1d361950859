//! Who may call: the operator by one token, launch-agents by tokens of their resource classes, and where a run gives one
//! out, whoever holds the token that only approves.

use super::{
    Plane,
    token::{TokenHash, hash},
};
use protocol::ResourceClass;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};
use store::{ClassRow, Command, Store, StoreError, TokenRow, Write};
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
    /// Adds or removes a class or a token; the number is how many there were. Queued at once, and known here as soon as
    /// it is on disk: no caller who goes away meanwhile leaves a removed token good.
    pub(crate) fn change_access(
        self: &Arc<Self>,
        change: Write,
    ) -> impl Future<Output = Result<u64, StoreError>> + use<> {
        let (tell, told) = oneshot::channel();
        let (plane, writes) = (self.clone(), vec![change.clone()]);
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            if result.is_ok() {
                plane.access.apply(change);
            }
            // Who asked may have gone; the change is made all the same.
            let _ = tell.send(result.map(|numbers| numbers.into_iter().sum()));
        });
        self.store.submit(Command { guard: None, writes, done });
        async { told.await.unwrap_or(Err(StoreError::Stopped)) }
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
        Ok(Self { operator, approver, tables: RwLock::new(Tables { classes, tokens }) })
    }

    fn apply(&self, change: Write) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            Write::Class(row) => tables.add_class(row),
            Write::RemoveClass { id, .. } => tables.remove_class(id),
            Write::Token(row) => drop(tables.tokens.insert(row.hash, row)),
            Write::RemoveToken(id) => tables.tokens.retain(|_, row| row.id != id),
            other => unreachable!("{other:?} changes no class and no token"),
        }
    }

    /// Whether this is the operator's token.
    pub(crate) fn is_operator(&self, token: &str) -> bool {
        // Comparing hashes tells nothing of the token, however long it takes.
        hash(token) == self.operator
    }

    /// Whether this is a token that approves: the operator's, or the one that can do nothing else.
    pub(crate) fn is_approver(&self, token: &str) -> bool {
        self.is_operator(token) || self.approver == Some(hash(token))
    }

    /// The class that a token may claim for.
    pub(crate) fn class_of(&self, token: &str) -> Option<ResourceClass> {
        self.tables().tokens.get(&hash(token)).map(|row| row.class.clone())
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
