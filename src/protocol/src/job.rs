//! What the programs of a job say to their task-agent, over the job's own socket: one JSON text per SEQPACKET packet, as
//! [`crate::frame`] has them.
//!
//! ```text
//! circleci, circleci-agent                                      task-agent
//!   connects ── Call ─────────────────────────────────────────▶  does it, or has it carried: a frame::Wanted
//!            ◀── Reply + [file?] ──────────────────────────────  a frame::Answer and its file
//! ```
//!
//! Any process of the job may speak here, and nothing that it says is believed: a call is bounded, and can do no more than
//! the job itself may.

use serde::{Deserialize, Serialize};

/// The names under which a job finds the task-agent's own program on its PATH: as its commands.
pub const NAMES: [&str; 2] = ["circleci", "circleci-agent"];
/// The variable that tells the job's programs where the socket is.
pub const SOCKET_VARIABLE: &str = "ROUNDHOUSE_JOB_SOCKET";
/// The socket's name in its directory.
pub const SOCKET: &str = "socket";

/// The most audiences of one token.
pub const MAX_AUDIENCES: usize = 16;
/// The longest audience, in bytes.
pub const MAX_AUDIENCE: usize = 1024;

/// What a program of the job asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// No step begins any more. The one that runs goes on, and the job ends as it stands then.
    Halt,
    /// What former runs of the job tell: a [`crate::former::Former`] as JSON.
    FormerTests,
    /// File: a token that proves to others which job this is ([`crate::frame::Wanted::Token`]).
    Token {
        /// Whom it is for; nobody: whom such tokens are for by default.
        audience: Vec<String>,
    },
}

/// What comes of a call. «File» marks the one with a descriptor, open for reading at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// File: what was asked for.
    File,
    /// It cannot be done; a sentence.
    Refused {
        /// What happened and what to do about it.
        message: String,
    },
}

/// Whether a token may be asked for with these audiences.
pub fn are_audiences(audience: &[String]) -> bool {
    let is_one = |one: &String| (1..=MAX_AUDIENCE).contains(&one.len());
    audience.len() <= MAX_AUDIENCES && audience.iter().all(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{decode, encode};

    #[test]
    fn calls_look_like_this_on_the_wire() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(encode(&Call::Halt).unwrap()), "\"halt\"");
        let token = Call::Token { audience: vec!["a".to_owned()] };
        assert_eq!(text(encode(&token).unwrap()), r#"{"token":{"audience":["a"]}}"#);
        assert_eq!(text(encode(&Reply::Done).unwrap()), "\"done\"");
    }

    #[test]
    fn audiences_are_bounded() {
        assert!(are_audiences(&[]) && are_audiences(&["sts.example.com".to_owned()]));
        for bad in [vec![String::new()], vec!["a".repeat(MAX_AUDIENCE + 1)], vec!["a".to_owned(); 17]] {
            assert!(!are_audiences(&bad));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_packet_is_a_call_or_an_error(packet: Vec<u8>) {
            let _ = decode::<Call>(&packet);
        }
    }
}
