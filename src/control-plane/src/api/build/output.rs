//! The output of a build's step as a list of messages, read as it is sent.

use crate::{
    api::{
        job::numbered,
        may::{May, TheProject, View},
    },
    logs::{LogName, Range},
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
    web::pieces,
};
use actix_web::{
    HttpResponse,
    error::Error,
    web::{Bytes, Data, Path},
};
use futures_util::{Stream, StreamExt, stream};
use protocol::StepNumber;
use serde_json::json;
use std::{future::ready, time::Duration};

/// The log of a step as far as it is stored: a message for each piece of it, with the time at which the step began.
pub(super) async fn of_step(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, u64, u32, u32)>,
) -> Result<HttpResponse, Refusal> {
    let (asked, number, step, index) = path.into_inner();
    let (job, _) = numbered(&plane, &asked, number).await?;
    let missing =
        || Refusal::Missing(format!("step {step} of the job {number} has not begun in its run {index}"));
    let step = StepNumber(step);
    let begun = plane.store.begun_step(job, index, step).await?.ok_or_else(missing)?;
    let name = LogName { task: begun.task, step };
    let nothing = Range { offset: u64::MAX, limit: 0 };
    let known = plane.logs.read(name, nothing, Duration::ZERO).await?.ok_or_else(missing)?;
    let pieces = pieces(plane.into_inner(), name, 0, known.length);
    let messages = messages(pieces, rfc3339(begun.started_ms));
    Ok(HttpResponse::Ok().content_type("application/json").streaming(messages))
}

/// What was told of a log, and the bytes at its end that are only a part of a letter.
struct Teller {
    time: String,
    is_first: bool,
    rest: Vec<u8>,
}

fn messages(
    pieces: impl Stream<Item = Result<Bytes, Error>>,
    time: String,
) -> impl Stream<Item = Result<Bytes, Error>> {
    let teller = Teller { time, is_first: true, rest: Vec::new() };
    let pieces = pieces.map(Some).chain(stream::once(ready(None)));
    pieces.scan(teller, |teller, piece| {
        ready(Some(match piece {
            Some(piece) => piece.map(|bytes| teller.tell(&bytes).into()),
            None => Ok(teller.end().into()),
        }))
    })
}

impl Teller {
    fn tell(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() - unfinished(&self.rest);
        let whole: Vec<u8> = self.rest.drain(..whole).collect();
        self.message(&whole)
    }

    fn end(&mut self) -> String {
        let rest = std::mem::take(&mut self.rest);
        let last = if rest.is_empty() { String::new() } else { self.message(&rest) };
        last + if self.is_first { "[]" } else { "]" }
    }

    fn message(&mut self, bytes: &[u8]) -> String {
        let begin = if self.is_first { '[' } else { ',' };
        self.is_first = false;
        let text = String::from_utf8_lossy(bytes);
        format!("{begin}{}", json!({ "type": "out", "time": self.time, "message": text }))
    }
}

/// How many bytes at the end are the beginning of a letter whose other bytes may follow.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3).position(|byte| byte & 0b1100_0000 != 0b1000_0000);
    let Some(back) = last.map(|place| place + 1) else { return 0 };
    let width = match bytes[bytes.len() - back] {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    };
    if width > back { back } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teller() -> Teller {
        Teller { time: "now".to_owned(), is_first: true, rest: Vec::new() }
    }

    #[test]
    fn letters_that_two_pieces_share_stay_whole_wherever_they_are_cut() {
        let text = "a ☺ é 𝄞 \"\\\n".to_owned();
        for cut in 0..=text.len() {
            let mut teller = teller();
            let (one, other) = text.as_bytes().split_at(cut);
            let told = teller.tell(one) + &teller.tell(other) + &teller.end();
            let told: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
            let all: String = told.iter().map(|message| message["message"].as_str().unwrap()).collect();
            assert_eq!(all, text, "cut at {cut}");
        }
    }

    #[test]
    fn a_log_of_nothing_is_an_empty_list_and_a_broken_letter_at_its_end_is_told() {
        assert_eq!(teller().end(), "[]");
        let mut teller = teller();
        let told = teller.tell(b"x\xff\xe2\x98") + &teller.end();
        let told: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
        assert_eq!((&told[0]["message"], &told[1]["message"]), (&json!("x\u{fffd}"), &json!("\u{fffd}")));
        assert_eq!(told[0]["type"], "out");
    }
}
