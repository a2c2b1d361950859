//! Who may call: the operator by one token, launch-agents by tokens of their resource classes.

use super::token::{TokenHash, hash};
use protocol::ResourceClass;
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};
use store::{ClassRow, Store, StoreError, TokenRow};
use tokio::sync::Mutex;

/// Classes and tokens, as they are in the store.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) operator: TokenHash,
    tables: RwLock<Tables>,
    /// Held while they are read again, so that an older reading never follows a newer one.
    reading: Mutex<()>,
}

#[derive(Debug, Default)]
struct Tables {
    classes: Vec<ClassRow>,
    tokens: HashMap<TokenHash, TokenRow>,
}

impl Access {
    /// Reads them all.
    pub(crate) async fn read(store: &Store, operator: TokenHash) -> Result<Self, StoreError> {
        let access = Self { operator, tables: RwLock::default(), reading: Mutex::default() };
        access.refresh(store).await?;
        Ok(access)
    }

    /// Reads them again after a change.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        let classes = store.classes().await?;
        let tokens = store.tokens().await?.into_iter().map(|row| (row.hash, row)).collect();
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = Tables { classes, tokens };
        Ok(())
    }

    /// Whether this is the operator's token.
    pub(crate) fn is_operator(&self, token: &str) -> bool {
        // Comparing hashes tells nothing of the token, however long it takes.
        hash(token) == self.operator
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
