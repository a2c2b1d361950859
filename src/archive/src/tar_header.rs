//! The blocks before a file's content in a tar stream, as ustar and pax have them.

use crate::target::Attributes;
use rustix::fs::Timespec;
use tar::{EntryType, Header};

/// Everything in a tar comes in blocks of this size.
pub(crate) const BLOCK: usize = 512;
/// The room of a name and of a link's target in ustar.
const ROOM: usize = 100;

/// What is said of a file before its content.
pub(crate) struct Said<'s> {
    pub(crate) kind: EntryType,
    pub(crate) path: &'s [u8],
    pub(crate) points_to: &'s [u8],
    pub(crate) attributes: Attributes,
    pub(crate) size: u64,
}

impl Said<'_> {
    /// All blocks that say it.
    pub(crate) fn blocks(&self) -> Vec<u8> {
        let mut blocks = Vec::with_capacity(3 * BLOCK);
        let records = self.records();
        if !records.is_empty() {
            let mode = rustix::fs::Mode::from_raw_mode(0o644);
            let attributes = Attributes { mode, modified: Timespec { tv_sec: 0, tv_nsec: 0 } };
            let size = records.len() as u64;
            let pax = Said { kind: EntryType::XHeader, path: b"pax", points_to: b"", attributes, size };
            blocks.extend_from_slice(pax.header().as_bytes());
            blocks.extend_from_slice(&records);
            blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        }
        blocks.extend_from_slice(self.header().as_bytes());
        blocks
    }

    fn header(&self) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(self.kind);
        header.set_mode(self.attributes.mode.as_raw_mode());
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::try_from(self.attributes.modified.tv_sec).unwrap_or(0));
        header.set_size(self.size);
        if let Some(ustar) = header.as_ustar_mut() {
            put(&mut ustar.name, self.path);
            put(&mut ustar.linkname, self.points_to);
        }
        header.set_cksum();
        header
    }

    /// What ustar has no room for.
    fn records(&self) -> Vec<u8> {
        let mut records = Vec::new();
        if self.path.len() > ROOM {
            record("path", self.path, &mut records);
        }
        if self.points_to.len() > ROOM {
            record("linkpath", self.points_to, &mut records);
        }
        let modified = self.attributes.modified;
        if modified.tv_nsec != 0 || modified.tv_sec < 0 {
            record("mtime", decimal(modified).as_bytes(), &mut records);
        }
        records
    }
}

fn put(room: &mut [u8; ROOM], bytes: &[u8]) {
    let length = bytes.len().min(ROOM);
    room[..length].copy_from_slice(&bytes[..length]);
}

/// `length key=value` and a line feed, where the length counts its own digits too.
fn record(key: &str, value: &[u8], records: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Seconds since 1970 with nine decimals; before it, the fraction counts the other way.
fn decimal(time: Timespec) -> String {
    if time.tv_sec >= 0 || time.tv_nsec == 0 {
        return format!("{}.{:09}", time.tv_sec, time.tv_nsec);
    }
    let whole = -(time.tv_sec + 1);
    format!("-{whole}.{:09}", 1_000_000_000 - time.tv_nsec)
}

/// The time a `mtime` record tells, if it tells one.
pub(crate) fn time(decimal: &str) -> Option<Timespec> {
    let (sign, digits) = decimal.strip_prefix('-').map_or((1, decimal), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let seconds =
        whole.parse::<u32>().map_or_else(|_| whole.parse::<i64>().ok(), |seconds| Some(seconds.into()))?;
    let nanoseconds: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let total = sign * (i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds));
    let tv_sec = i64::try_from(total.div_euclid(1_000_000_000)).ok()?;
    Some(Timespec { tv_sec, tv_nsec: total.rem_euclid(1_000_000_000) as _ })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written() {
        for (tv_sec, tv_nsec) in [(0, 1), (1_700_000_000, 999_999_999), (-1, 0), (-1, 1), (-5, 999_999_999)] {
            let written = decimal(Timespec { tv_sec, tv_nsec });
            let read = time(&written).unwrap();
            assert_eq!((read.tv_sec, read.tv_nsec), (tv_sec, tv_nsec), "{written}");
        }
        assert!(time("x").is_none() && time("1.x").is_none());
    }

    #[test]
    fn a_record_counts_its_own_digits() {
        for length in [1, 85, 91, 92, 93, 980, 990, 991] {
            let mut records = Vec::new();
            record("path", "a".repeat(length).as_bytes(), &mut records);
            let text = String::from_utf8(records).unwrap();
            assert!(text.starts_with(&format!("{} ", text.len())), "{text}");
        }
    }
}
