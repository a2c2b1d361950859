//! One HTTP call of a job that continues its pipeline: read within bounds, carried, answered.

use crate::carry::Carry;
use protocol::{
    api::MAX_CONTINUE,
    frame::{Answer, Wanted},
    http::ErrorBody,
};
use std::{
    fs::File,
    io::{self, Read, Write},
};

const PATH: &str = "/api/v2/pipeline/continue";
/// The longest request line with its headers, in bytes, and the most headers.
const MOST_HEAD: usize = 32 * 1024;
const MOST_HEADERS: usize = 64;

/// What is said of a request before its body.
struct Head {
    /// Where the body begins.
    length: usize,
    method: String,
    path: String,
    body: Option<u64>,
    /// Whether the caller waits for leave to send the body.
    waits: bool,
}

/// A call that gets no further: its status and a sentence.
struct Refusal(u16, String);

impl Refusal {
    fn of(status: u16, sentence: impl Into<String>) -> Self {
        Self(status, sentence.into())
    }
}

/// Answers the one call of a connection.
pub(super) fn answer(
    stream: &mut (impl Read + Write),
    carry: &dyn Carry,
    file: impl FnOnce() -> io::Result<File>,
) -> io::Result<()> {
    let (status, body) = match body(stream, file)? {
        Err(Refusal(status, message)) => (status, said(message)),
        Ok(body) => match carry.ask(Wanted::ContinuePipeline, Some(body)) {
            Ok((Answer::Reply { status, body }, _)) => (status, body),
            Ok((Answer::Refused { message }, _)) => (502, said(message)),
            Ok((other, _)) => (502, said(format!("an answer to another question: {other:?}"))),
            Err(ended) => (503, said(ended.to_string())),
        },
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}",
        reason(status)
    )?;
    stream.flush()
}

fn said(message: String) -> String {
    serde_json::to_string(&ErrorBody { message }).expect("a text is JSON")
}

fn reason(status: u16) -> &'static str {
    if status < 400 { "OK" } else { "Refused" }
}

/// The body of a call that continues a pipeline.
fn body(
    stream: &mut (impl Read + Write),
    file: impl FnOnce() -> io::Result<File>,
) -> io::Result<Result<File, Refusal>> {
    let mut read = Vec::new();
    let head = loop {
        match head(&read) {
            Ok(Some(head)) => break head,
            Ok(None) if read.len() < MOST_HEAD => {}
            Ok(None) => return Ok(Err(Refusal::of(431, "the headers of the request are too long"))),
            Err(error) => return Ok(Err(Refusal::of(400, format!("this is no HTTP request: {error}")))),
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => read.extend_from_slice(&piece[..length]),
        }
    };
    let length = match checked(&head) {
        Ok(length) => length,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if head.waits {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        stream.flush()?;
    }
    let mut file = file()?;
    if io::copy(&mut read[head.length..].chain(stream).take(length), &mut file)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Ok(file))
}

/// None as long as it is not all there.
fn head(read: &[u8]) -> Result<Option<Head>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(read)? else { return Ok(None) };
    let value = |name: &str| {
        let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    Ok(Some(Head {
        length,
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        body: value("Content-Length").and_then(|length| length.trim().parse().ok()),
        waits: value("Expect").is_some_and(|what| what.eq_ignore_ascii_case("100-continue")),
    }))
}

/// The length of the body of a request that can be carried.
fn checked(head: &Head) -> Result<u64, Refusal> {
    if head.path.split('?').next() != Some(PATH) || head.method != "POST" {
        let sentence = format!("in a setup job of Roundhouse only POST {PATH} is answered here");
        return Err(Refusal::of(404, sentence));
    }
    match head.body {
        None => Err(Refusal::of(411, "the request has no Content-Length: send its body in one piece")),
        Some(length) if length > MAX_CONTINUE as u64 => {
            Err(Refusal::of(413, format!("the request has {length} bytes, more than {MAX_CONTINUE}")))
        }
        Some(length) => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carry::Ended;
    use std::{io::Seek, sync::Mutex};

    /// A caller that has said everything.
    struct Caller {
        says: io::Cursor<Vec<u8>>,
        hears: Vec<u8>,
    }

    impl Read for Caller {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            // In small pieces, as a network may.
            let most = into.len().min(7);
            self.says.read(&mut into[..most])
        }
    }

    impl Write for Caller {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.hears.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Default)]
    struct Carried(Mutex<String>);

    impl Carry for Carried {
        fn ask(&self, _: Wanted, file: Option<File>) -> Result<(Answer, Option<File>), Ended> {
            let mut file = file.unwrap();
            file.rewind().unwrap();
            *self.0.lock().unwrap() = io::read_to_string(file).unwrap();
            Ok((Answer::Reply { status: 200, body: "{}".to_owned() }, None))
        }
    }

    fn call(text: &str) -> (String, String) {
        let mut caller = Caller { says: io::Cursor::new(text.as_bytes().to_vec()), hears: Vec::new() };
        let carried = Carried::default();
        let _ = answer(&mut caller, &carried, tempfile::tempfile);
        (String::from_utf8(caller.hears).unwrap(), carried.0.into_inner().unwrap())
    }

    #[test]
    fn a_call_is_carried_with_its_body_and_answered() {
        let (heard, carried) = call(&format!(
            "POST {PATH} HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\nExpect: 100-Continue\r\n\r\nhello and more"
        ));
        assert_eq!(carried, "hello");
        let (leave, answer) = heard.split_once("\r\n\r\n").unwrap();
        assert_eq!(leave, "HTTP/1.1 100 Continue");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}"), "{answer}");
    }

    #[test]
    fn what_is_no_such_call_is_refused_and_carried_nowhere() {
        let long = "x".repeat(MOST_HEAD);
        for (text, status) in [
            ("GET /api/v2/me HTTP/1.1\r\n\r\n".to_owned(), "404"),
            (format!("GET {PATH} HTTP/1.1\r\n\r\n"), "404"),
            (format!("POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), "411"),
            (format!("POST {PATH} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", MAX_CONTINUE + 1), "413"),
            (format!("POST {PATH} HTTP/1.1\r\nX: {long}\r\n\r\n"), "431"),
            ("\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
        ] {
            let (heard, carried) = call(&text);
            assert!(heard.starts_with(&format!("HTTP/1.1 {status} Refused")), "{text}: {heard}");
            assert_eq!(carried, "");
        }
    }

    #[test]
    fn a_body_that_breaks_off_is_carried_nowhere() {
        let (heard, carried) = call(&format!("POST {PATH} HTTP/1.1\r\nContent-Length: 50\r\n\r\nhello"));
        assert_eq!((heard, carried), (String::new(), String::new()));
    }
}
