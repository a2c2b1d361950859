//! Orbs in a directory: packed, published by version, found again.
//!
//! ```text
//! src/ tree ──pack──▶ one text ──Store::publish──▶ <root>/<namespace>/<name>/1.2.3.yml
//!                                                                           └ dev/<label>.yml
//! namespace/name@1 ──Store::find──▶ the newest version that fits
//! ```

mod pack;
mod store;

pub use pack::{PackError, pack, pack_orb};
pub use store::{Published, Store, StoreError};
