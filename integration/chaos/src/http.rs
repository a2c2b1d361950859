//! As much HTTP/1.1 as it takes to ask a server, and to stand between two parties that speak it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// The longest head that is read.
const MAX_HEAD: u64 = 64 * 1024;

/// The head of a request or of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// As it came, its empty line too.
    pub text: Vec<u8>,
    /// Of its first line, by spaces.
    pub words: Vec<String>,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many bytes.
    Bytes(u64),
    /// In chunks.
    Chunked,
    /// To the end of the connection.
    ToEnd,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its number.
    pub status: u16,
    /// Its head.
    pub head: Head,
    /// Its whole body.
    pub body: Vec<u8>,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Head {
    /// The next head; none: the connection ended before it.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let (mut head, mut from) = (Self::default(), from.take(MAX_HEAD));
        loop {
            let before = head.text.len();
            if from.read_until(b'\n', &mut head.text)? == 0 {
                return if before == 0 { Ok(None) } else { Err(broken("a head that breaks off")) };
            }
            let line = String::from_utf8_lossy(&head.text[before..]).trim_end().to_owned();
            if line.is_empty() {
                return Ok(Some(head));
            }
            match (head.words.is_empty(), line.split_once(':')) {
                (true, _) => head.words = line.split(' ').map(str::to_owned).collect(),
                (false, Some((name, value))) => {
                    head.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                (false, None) => return Err(broken("a head with a line that is no field")),
            }
        }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A word of the first line.
    pub fn word(&self, place: usize) -> &str {
        self.words.get(place).map_or("", String::as_str)
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    /// How long the body behind it is; `otherwise` where it does not say.
    pub fn length(&self, otherwise: Length) -> Length {
        if self.field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Length::Chunked;
        }
        let said = self.field("content-length").and_then(|length| length.parse().ok());
        said.map_or(otherwise, Length::Bytes)
    }
}

/// Reads a body as it came, chunks with their heads.
pub fn read_raw(from: &mut impl BufRead, length: Length) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    match length {
        Length::ToEnd => drop(from.read_to_end(&mut raw)?),
        Length::Bytes(bytes) => {
            if (from.take(bytes).read_to_end(&mut raw)? as u64) < bytes {
                return Err(broken("a body that breaks off"));
            }
        }
        Length::Chunked => while !read_chunk(from, &mut raw)? {},
    }
    Ok(raw)
}

/// Adds one chunk with its head; whether it was the last.
fn read_chunk(from: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<bool> {
    let before = raw.len();
    from.read_until(b'\n', raw)?;
    let line = String::from_utf8_lossy(&raw[before..]).trim_end().to_owned();
    let size = line.split(';').next().unwrap_or_default();
    let size = u64::from_str_radix(size, 16).map_err(|_| broken("a chunk without its length"))?;
    if (from.take(size + 2).read_to_end(raw)? as u64) < size + 2 {
        return Err(broken("a chunk that breaks off"));
    }
    Ok(size == 0)
}

/// The content of chunks.
fn joined(mut raw: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut chunk = Vec::new();
        let last = read_chunk(&mut raw, &mut chunk)?;
        let begin = chunk.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        content.extend_from_slice(&chunk[begin..chunk.len() - 2]);
        if last {
            return Ok(content);
        }
    }
}

/// Asks once, on a connection of its own.
pub fn ask(address: &str, method: &str, path: &str, token: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )?;
    stream.write_all(body)?;
    let mut stream = BufReader::new(stream);
    let head = Head::read(&mut stream)?.ok_or_else(|| broken("no answer"))?;
    let length = head.length(Length::ToEnd);
    let raw = read_raw(&mut stream, length)?;
    let body = if length == Length::Chunked { joined(&raw)? } else { raw };
    Ok(Answer { status: head.status(), head, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_its_first_line_and_its_fields() {
        let mut text: &[u8] = b"POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcREST";
        let head = Head::read(&mut text).unwrap().unwrap();
        assert_eq!((head.word(0), head.word(1)), ("POST", "/x"));
        assert_eq!(read_raw(&mut text, head.length(Length::ToEnd)).unwrap(), b"abc");
        assert_eq!(text, b"REST");
    }

    #[test]
    fn chunks_are_read_to_their_end_and_joined() {
        let mut text: &[u8] = b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nREST";
        let raw = read_raw(&mut text, Length::Chunked).unwrap();
        assert_eq!(joined(&raw).unwrap(), b"abc0123456789");
        assert_eq!(text, b"REST");
    }

    #[test]
    fn what_breaks_off_is_no_body() {
        assert!(read_raw(&mut &b"ab"[..], Length::Bytes(3)).is_err());
        assert!(read_raw(&mut &b"3\r\nab"[..], Length::Chunked).is_err());
        assert!(Head::read(&mut &b"GET / HTTP/1.1\r\nA: b"[..]).is_err());
    }
}
