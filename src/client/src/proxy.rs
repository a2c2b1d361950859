//! The proxies of the environment: which one stands before an address, and which addresses it does not.

use awc::http::Uri;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, read once. Loopback is never proxied.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    except: Vec<Exception>,
}

/// One proxy, spoken to in plain HTTP.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "http://{}{}:{}",
            if self.authorization.is_some() { "***@" } else { "" },
            self.host,
            self.port
        )
    }
}

/// One word of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    Network {
        address: IpAddr,
        prefix: u8,
    },
    /// Without its leading dot; `below` only: the name itself is proxied.
    Domain {
        name: String,
        below_only: bool,
        port: Option<u16>,
    },
}

/// A variable that names no proxy that can be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProxyError {
    /// Not host and port.
    #[error("{0} names no proxy: write http://host:port")]
    Address(&'static str),
    /// `https://` or `socks5://` and the like.
    #[error(
        "{variable} asks for a proxy that speaks {scheme}: only http:// proxies are spoken to (they tunnel TLS all the same)"
    )]
    Scheme {
        /// Which.
        variable: &'static str,
        /// Before `://`.
        scheme: String,
    },
}

impl Proxies {
    /// As the process's environment has them, in capitals or small letters; small letters win.
    pub fn from_environment() -> Result<Self, ProxyError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// As this look-up has them.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let either = |name: &str| {
            let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
            set(&name.to_ascii_lowercase()).or_else(|| set(name))
        };
        let proxy = |name: &'static str| either(name).map(|text| proxy(name, text.trim())).transpose();
        let except = either("NO_PROXY").map(|words| exceptions(&words)).unwrap_or_default();
        Ok(Self { http: proxy("HTTP_PROXY")?, https: proxy("HTTPS_PROXY")?, except })
    }

    /// The proxy between here and this address.
    pub(crate) fn of(&self, uri: &Uri) -> Option<&Proxy> {
        let secure = uri.scheme_str() == Some("https");
        let proxy = if secure { &self.https } else { &self.http }.as_ref()?;
        let host = bare(uri.host()?).to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let direct = is_loopback(&host) || self.except.iter().any(|word| word.covers(&host, port));
        if direct { None } else { Some(proxy) }
    }
}

/// A host without the brackets of an IPv6 address.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn proxy(variable: &'static str, text: &str) -> Result<Proxy, ProxyError> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(ProxyError::Scheme { variable, scheme: scheme.to_owned() });
    }
    let wrong = || ProxyError::Address(variable);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (user, place) =
        authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    let place: awc::http::uri::Authority = place.parse().map_err(|_| wrong())?;
    if place.host().is_empty() {
        return Err(wrong());
    }
    let (host, port) = (bare(place.host()).to_owned(), place.port_u16().unwrap_or(80));
    Ok(Proxy { host, port, authorization: user.map(authorization) })
}

fn authorization(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(percent_decoded(user)))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let escaped = if *first == b'%' { two_digits(after) } else { None };
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    out
}

fn two_digits(bytes: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(bytes.get(..2)?).ok()?, 16).ok()
}

fn exceptions(words: &str) -> Vec<Exception> {
    words.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty()).map(exception).collect()
}

fn exception(word: &str) -> Exception {
    let word = word.to_ascii_lowercase();
    if word == "*" {
        return Exception::Everything;
    }
    if let Some(network) = network(&word) {
        return network;
    }
    let (name, port) = match word.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
        _ => (word.as_str(), None),
    };
    if let Some(Exception::Network { address, .. }) = network(bare(name)) {
        return Exception::Domain { name: address.to_string(), below_only: false, port };
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    let below_only = name.starts_with('.');
    Exception::Domain { name: name.trim_start_matches('.').to_owned(), below_only, port }
}

fn network(word: &str) -> Option<Exception> {
    let (address, prefix) = word.split_once('/').map_or((word, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = bare(address).parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(whole), |prefix| prefix.parse().ok().filter(|p| *p <= whole))?;
    Some(Exception::Network { address, prefix })
}

impl Exception {
    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Network { address, prefix } => host.parse().is_ok_and(|host| same(*address, host, *prefix)),
            Self::Domain { name, below_only, port: only } => {
                let below = host.strip_suffix(name.as_str()).is_some_and(|front| front.ends_with('.'));
                (below || (!below_only && host == name)) && only.is_none_or(|only| only == port)
            }
        }
    }
}

/// Whether two addresses begin with the same bits.
fn same(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    let high = |value: u128, width: u8| value.checked_shr(u32::from(width - prefix)).unwrap_or(0);
    let v4 = |address: Ipv4Addr| high(u128::from(address.to_bits()), 32);
    let v6 = |address: Ipv6Addr| high(address.to_bits(), 128);
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => v4(one) == v4(other),
        (IpAddr::V6(one), IpAddr::V6(other)) => v6(one) == v6(other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    fn proxied(proxies: &Proxies, url: &str) -> bool {
        proxies.of(&url.parse().unwrap()).is_some()
    }

    #[test]
    fn each_scheme_has_its_proxy_and_small_letters_win() {
        let variables =
            [("HTTP_PROXY", "big:1"), ("http_proxy", "http://small:2/"), ("HTTPS_PROXY", "http://tls")];
        let proxies = proxies(&variables).unwrap();
        let of = |url: &str| proxies.of(&url.parse().unwrap()).map(|p| format!("{p:?}"));
        assert_eq!(of("http://a.example").as_deref(), Some("http://small:2"));
        assert_eq!(of("https://a.example").as_deref(), Some("http://tls:80"));
    }

    #[test]
    fn no_proxy_takes_names_domains_ports_addresses_and_networks() {
        let words =
            "plain.example, .below.example,*.star.example,port.example:8443,10.0.0.0/8,192.168.1.7,fd00::/8";
        let proxies = proxies(&[("http_proxy", "p:1"), ("https_proxy", "p:1"), ("no_proxy", words)]).unwrap();
        let direct = [
            "http://plain.example",
            "http://a.plain.example",
            "http://x.below.example",
            "http://x.star.example",
            "https://port.example:8443",
            "http://10.9.8.7",
            "http://192.168.1.7",
            "http://[fd12::1]",
        ];
        let through = [
            "http://xplain.example",
            "http://below.example",
            "https://port.example",
            "http://11.0.0.1",
            "http://192.168.1.8",
            "http://[fe80::1]",
        ];
        direct.iter().for_each(|url| assert!(!proxied(&proxies, url), "{url} goes directly"));
        through.iter().for_each(|url| assert!(proxied(&proxies, url), "{url} goes through the proxy"));
    }

    #[test]
    fn loopback_and_a_star_are_never_proxied() {
        let some = proxies(&[("http_proxy", "p:1")]).unwrap();
        for url in ["http://localhost:1", "http://127.0.0.9", "http://[::1]:3"] {
            assert!(!proxied(&some, url));
        }
        let none = proxies(&[("http_proxy", "p:1"), ("NO_PROXY", "*")]).unwrap();
        assert!(!proxied(&none, "http://a.example"));
    }

    #[test]
    fn credentials_are_sent_but_never_printed() {
        let proxies = proxies(&[("http_proxy", "http://me:p%40ss@proxy.example:3128")]).unwrap();
        let proxy = proxies.of(&"http://a.example".parse().unwrap()).unwrap();
        assert_eq!(proxy.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(format!("{proxy:?}"), "http://***@proxy.example:3128");
    }

    #[test]
    fn a_proxy_that_is_none_or_speaks_something_else_is_refused_by_name() {
        assert_eq!(proxies(&[("HTTP_PROXY", "http://:1:2")]).unwrap_err(), ProxyError::Address("HTTP_PROXY"));
        let error = proxies(&[("https_proxy", "socks5://p:1")]).unwrap_err();
        assert_eq!(error, ProxyError::Scheme { variable: "HTTPS_PROXY", scheme: "socks5".to_owned() });
    }
}
