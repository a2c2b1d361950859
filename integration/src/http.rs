//! The control plane as any program sees it that speaks HTTP: a call, a status, and the text of the answer.

use crate::rig::Server;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// What came of a call.
#[derive(Debug)]
pub struct Answered {
    /// The number in its first line.
    pub status: u16,
    /// All above the empty line.
    pub head: String,
    /// All below it.
    pub body: String,
}

impl Server {
    /// `GET` with the operator's token.
    ///
    /// # Panics
    /// Where nobody listens.
    pub fn get(&self, path: &str) -> Answered {
        self.call("GET", path, &format!("Circle-Token: {}", self.token), "")
    }

    /// A page as who has signed in sees it.
    ///
    /// # Panics
    /// Where it lets nobody in.
    pub fn page(&self, path: &str) -> String {
        let entered = self.call("GET", &format!("{path}?token={}", self.token), "", "");
        let cookie =
            entered.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
        let cookie = cookie.unwrap_or_else(|| panic!("{}", entered.head));
        let page = self.call("GET", path, &format!("Cookie: {cookie}"), "");
        assert_eq!(page.status, 200, "{}", page.body);
        page.body
    }

    /// Any call, with the lines of `head` and a body of JSON, or none.
    ///
    /// # Panics
    /// Where nobody listens, or what comes is no HTTP.
    pub fn call(&self, method: &str, path: &str, head: &str, body: &str) -> Answered {
        let address = self.url.strip_prefix("http://").expect("it is plain");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let head = if head.is_empty() { String::new() } else { format!("{head}\r\n") };
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{head}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("an answer has a status");
        Answered { status, head: head.to_owned(), body: body.to_owned() }
    }
}
