//! A browser that a test drives as a person would: by looking, clicking and keys.

use crate::page::browser;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long something may take to be seen.
const SOON: Duration = Duration::from_secs(60);

/// One tab of a Chromium, which takes its orders and answers through pipes.
pub(crate) struct Driven {
    orders: Option<File>,
    answers: BufReader<File>,
    child: Child,
    session: Option<String>,
    last: u64,
    _folder: TempDir,
}

impl Driven {
    /// None: this machine has no browser.
    pub(crate) fn open(url: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let [orders, answers] = ["orders", "answers"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args([&orders, &answers]).status().unwrap().success());
        let script = "exec timeout 300 \"$1\" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
                      --disable-background-networking --disable-component-update --disable-sync \
                      --window-size=1200,800 --remote-debugging-pipe --user-data-dir=\"$2\" about:blank 3<\"$3\" 4>\"$4\"";
        let child = Command::new("sh")
            .args(["-c", script, "browser", browser()?])
            .args([&folder.path().join("profile"), &orders, &answers])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let orders = Some(File::options().write(true).open(orders).unwrap());
        let answers = BufReader::new(File::open(answers).unwrap());
        let mut driven = Self { orders, answers, child, session: None, last: 0, _folder: folder };
        driven.attach();
        driven.go(url);
        Some(driven)
    }

    fn attach(&mut self) {
        let target = self.ask("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = self.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        self.session = attached["sessionId"].as_str().map(str::to_owned);
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn asked(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut order = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let order = [order.to_string().as_bytes(), b"\0"].concat();
        self.orders.as_mut().unwrap().write_all(&order).unwrap();
        loop {
            let mut answer = Vec::new();
            assert!(self.answers.read_until(0, &mut answer).unwrap() > 0, "the browser is gone");
            let answer: Value = serde_json::from_slice(&answer[..answer.len() - 1]).unwrap();
            if answer["id"] == self.last {
                let error = &answer["error"];
                return if error.is_null() { Ok(answer["result"].clone()) } else { Err(error.clone()) };
            }
        }
    }

    /// Another page.
    pub(crate) fn go(&mut self, url: &str) {
        self.ask("Page.navigate", json!({"url": url}));
    }

    /// What an expression is in the page; null where it fails, or the page goes meanwhile.
    pub(crate) fn look(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        match self.asked("Runtime.evaluate", asked) {
            Ok(answer) if answer["exceptionDetails"].is_null() => answer["result"]["value"].clone(),
            Ok(_) => Value::Null,
            Err(error) => {
                let is_leaving = error["message"].as_str().is_some_and(|why| why.contains("navigated"));
                assert!(is_leaving, "{expression}: {error}");
                Value::Null
            }
        }
    }

    /// Waits until an expression is something.
    pub(crate) fn until(&mut self, expression: &str) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let seen = self.look(expression);
            if !matches!(seen, Value::Null | Value::Bool(false)) && seen != "" {
                return seen;
            }
            if Instant::now() > deadline {
                panic!("never seen: {expression} in {}", self.look("document.documentElement.outerHTML"));
            }
            // A turn of the page's own clock passes between two looks.
            self.look("new Promise((seen) => setTimeout(seen, 20))");
        }
    }

    /// Clicks what a selector finds, once it is there: one time, also where the page goes with it.
    pub(crate) fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        self.until(&format!("{found} !== null"));
        self.look(&format!("{found}.click()"));
    }

    /// Presses the key of a letter.
    pub(crate) fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.ask("Input.dispatchKeyEvent", json!({"type": kind, "key": key, "text": key}));
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // It ends where nobody gives orders any more.
        self.orders = None;
        let _ = self.child.wait();
    }
}
