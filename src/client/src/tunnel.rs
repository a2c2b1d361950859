//! Opens the TCP connection of a request: directly, to a proxy, or through a proxy's CONNECT.

use crate::proxy::{Proxies, Proxy, bare};
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The most bytes of a proxy's answer to CONNECT.
const MAX_ANSWER: usize = 8 * 1024;

/// awc's way to the network: it knows no proxies by itself.
#[derive(Clone, Debug)]
pub(crate) struct Tunnel {
    proxies: Proxies,
}

impl Tunnel {
    pub(crate) fn new(proxies: Proxies) -> Self {
        Self { proxies }
    }
}

impl Service<ConnectInfo<Uri>> for Tunnel {
    type Response = Connection<Uri, TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>>>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, wanted: ConnectInfo<Uri>) -> Self::Future {
        let uri = wanted.request().clone();
        let secure = uri.scheme_str() == Some("https");
        let proxy = if secure { self.proxies.of(&uri).cloned() } else { None };
        Box::pin(async move {
            let stream = open(&uri, secure, proxy).await.map_err(ConnectError::Io)?;
            Ok(Connection::new(uri, stream))
        })
    }
}

async fn open(uri: &Uri, secure: bool, proxy: Option<Proxy>) -> io::Result<TcpStream> {
    let host = uri.host().ok_or_else(|| io::Error::other("the address has no host"))?;
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    match proxy {
        None => connect(bare(host), port).await,
        Some(proxy) => {
            let stream = connect(&proxy.host, proxy.port).await.map_err(|error| told(&proxy, error))?;
            tunnel(stream, &format!("{host}:{port}"), &proxy).await.map_err(|error| told(&proxy, error))
        }
    }
}

fn told(proxy: &Proxy, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("proxy {proxy:?}: {error}"))
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn tunnel(mut stream: TcpStream, target: &str, proxy: &Proxy) -> io::Result<TcpStream> {
    let authorization = proxy.authorization.as_ref();
    let authorization =
        authorization.map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let answer = answer(&mut stream).await?;
    let status = answer.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some(code) if code.len() == 3 && code.starts_with('2') => Ok(stream),
        _ => Err(io::Error::other(format!("refuses to connect to {target}: {status}"))),
    }
}

/// The head of the proxy's answer. Read byte by byte: what follows it belongs to the tunnel, and it comes once a connection.
async fn answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_ANSWER {
            return Err(io::Error::other("its answer to CONNECT has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
