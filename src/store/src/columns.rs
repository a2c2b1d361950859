//! How names, statuses and structures of the protocol stand in columns.

use crate::StoreError;
use protocol::Digest;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

/// The bytes of an id.
pub(crate) fn bytes(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

/// A structure as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("the protocol's structures have only string keys")
}

/// A count as SQLite's only integer.
pub(crate) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn uuid(row: &SqliteRow, column: &'static str) -> Result<Uuid, StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    Uuid::from_slice(bytes).map_err(|error| unreadable(column, &error))
}

pub(crate) fn optional_uuid(row: &SqliteRow, column: &'static str) -> Result<Option<Uuid>, StoreError> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    bytes.map(|bytes| Uuid::from_slice(bytes).map_err(|error| unreadable(column, &error))).transpose()
}

pub(crate) fn count(row: &SqliteRow, column: &'static str) -> Result<u64, StoreError> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| unreadable(column, &error))
}

pub(crate) fn small(row: &SqliteRow, column: &'static str) -> Result<u32, StoreError> {
    let number: i64 = row.try_get(column)?;
    u32::try_from(number).map_err(|error| unreadable(column, &error))
}

/// A word of the protocol: a status, an outcome.
pub(crate) fn word<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    parse_word(row.try_get(column)?, column)
}

pub(crate) fn optional_word<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| parse_word(text, column)).transpose()
}

fn parse_word<T: DeserializeOwned>(text: String, column: &'static str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| unreadable(column, &error))
}

pub(crate) fn structure<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let text: &str = row.try_get(column)?;
    serde_json::from_str(text).map_err(|error| unreadable(column, &error))
}

pub(crate) fn optional_structure<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(serde_json::from_str).transpose().map_err(|error| unreadable(column, &error))
}

pub(crate) fn digest(row: &SqliteRow, column: &'static str) -> Result<Digest, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| unreadable(column, &error))
}

fn unreadable(column: &'static str, error: &dyn std::error::Error) -> StoreError {
    StoreError::Unreadable { column, message: error.to_string().into() }
}
