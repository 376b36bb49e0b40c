//! Proxies: which leads where, and how they are asked to.

use crate::direct::{Direct, bare};
use crate::stream::Io;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tower::Service as _;

/// Which proxy leads where.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<Choice>);

#[derive(Debug, Default)]
enum Choice {
    /// Everybody is asked directly.
    #[default]
    Nobody,
    /// The same to everybody.
    One(Proxy),
    /// As the environment says.
    Listed {
        https: Option<Proxy>,
        http: Option<Proxy>,
        direct: Direct,
    },
}

/// A proxy.
#[derive(Clone)]
pub struct Proxy {
    uri: Uri,
    user: Option<(String, String)>,
}

/// A proxy that is none.
#[derive(Debug, thiserror::Error)]
#[error("the proxy of {named} is not a URL like http://host:port")]
pub struct ProxyError {
    /// Where it is named. What it is may be secret.
    pub named: &'static str,
}

impl Proxies {
    /// What the environment says, in capitals or else in small letters.
    pub fn from_environment() -> Result<Self, ProxyError> {
        let said = |name: &str| {
            let names = [name.to_owned(), name.to_ascii_lowercase()];
            let mut said = names.iter().filter_map(|name| std::env::var(name).ok());
            said.find(|value| !value.is_empty()).unwrap_or_default()
        };
        Self::new(&said("HTTPS_PROXY"), &said("HTTP_PROXY"), &said("NO_PROXY"))
    }

    /// Proxies for URLs of either scheme, and the hosts, domains and networks that are asked
    /// directly. What is empty says nothing.
    pub fn new(https: &str, http: &str, no: &str) -> Result<Self, ProxyError> {
        let named = |named, url: &str| match url.is_empty() {
            true => Ok(None),
            false => Proxy::new(url).map(Some).ok_or(ProxyError { named }),
        };
        Ok(Self(Arc::new(Choice::Listed {
            https: named("HTTPS_PROXY", https)?,
            http: named("HTTP_PROXY", http)?,
            direct: Direct::new(no),
        })))
    }

    /// One proxy for everything, this machine too.
    pub fn one(proxy: Proxy) -> Self {
        Self(Arc::new(Choice::One(proxy)))
    }

    /// The proxy for a URL, if there is one between.
    pub fn of(&self, uri: &Uri) -> Option<&Proxy> {
        match &*self.0 {
            Choice::Nobody => None,
            Choice::One(proxy) => Some(proxy),
            Choice::Listed { direct, .. } if direct.has(uri) => None,
            Choice::Listed { https, .. } if uri.scheme_str() == Some("https") => https.as_ref(),
            Choice::Listed { http, .. } => http.as_ref(),
        }
    }
}

impl Proxy {
    /// Reads a URL. One without a scheme is meant as HTTP.
    pub fn new(url: &str) -> Option<Self> {
        let uri: Uri = match url.contains("://") {
            true => url.parse().ok()?,
            false => format!("http://{url}").parse().ok()?,
        };
        let scheme = uri.scheme_str()?;
        if !["http", "https", "socks5", "socks5h"].contains(&scheme) || uri.host()?.is_empty() {
            return None;
        }
        let authority = uri.authority()?.as_str();
        let user = authority.rsplit_once('@').map(|(user, _)| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            (decoded(name), decoded(password))
        });
        Some(Self { uri, user })
    }

    /// Where it is.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Its host, without brackets.
    pub fn host(&self) -> &str {
        bare(self.uri.host().unwrap_or_default())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        let usual = match self.uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => 1080,
        };
        self.uri.port_u16().unwrap_or(usual)
    }

    /// Whether TLS is spoken with the proxy itself.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Whether it passes on requests that are sent to it instead of their server. Those of a
    /// server without TLS are; all others go through a tunnel.
    pub fn passes_on(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("http" | "https"))
    }

    /// What it wants to be shown with each request that it passes on.
    pub fn shown(&self) -> Option<HeaderValue> {
        let (name, password) = self.user.as_ref()?;
        let shown = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        let mut shown = HeaderValue::from_str(&shown).ok()?;
        shown.set_sensitive(true);
        Some(shown)
    }

    /// Makes of a connection to the proxy one to a server behind it.
    pub async fn tunnel(&self, io: Box<dyn Io>, server: &Uri) -> io::Result<Box<dyn Io>> {
        let server = with_port(server)?;
        let mut io = Some(TokioIo::new(io));
        let made = tower::service_fn(move |_: Uri| {
            let io = io.take().ok_or_else(|| io::Error::other("already used"));
            std::future::ready(io)
        });
        let tunnelled = if self.passes_on() {
            let mut tunnel = Tunnel::new(self.uri.clone(), made);
            if let Some(shown) = self.shown() {
                tunnel = tunnel.with_auth(shown);
            }
            tunnel.call(server).await.map_err(io::Error::other)?
        } else {
            let mut socks = SocksV5::new(self.uri.clone(), made);
            if let Some((name, password)) = self.user.clone() {
                socks = socks.with_auth(name, password);
            }
            socks.call(server).await.map_err(io::Error::other)?
        };
        Ok(tunnelled.into_inner())
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Proxy({}:{})", self.host(), self.port())
    }
}

/// A proxy has to be told the port also where it is the usual one.
fn with_port(server: &Uri) -> io::Result<Uri> {
    if server.port().is_some() {
        return Ok(server.clone());
    }
    let is_tls = server.scheme_str() == Some("https");
    let port = if is_tls { 443 } else { 80 };
    format!("http://{}:{port}", server.host().unwrap_or_default())
        .parse()
        .map_err(io::Error::other)
}

/// Names and passwords are escaped in URLs.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.first_chunk::<2>().filter(|_| *first == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(proxies: &Proxies, url: &str) -> String {
        let proxy = proxies.of(&url.parse().expect("a URL"));
        proxy.map_or("direct".to_owned(), |proxy| {
            format!("{}:{}", proxy.host(), proxy.port())
        })
    }

    #[test]
    fn the_scheme_says_which() {
        let listed = Proxies::new("http://user:w%40rd@p:3128", "q", "near.example").expect("URLs");
        assert_eq!(way(&listed, "https://far.example/"), "p:3128");
        assert_eq!(way(&listed, "http://far.example/"), "q:80");
        assert_eq!(way(&listed, "https://near.example/"), "direct");
        assert_eq!(way(&listed, "https://127.0.0.1:1/"), "direct");
        let shown = listed.of(&"https://x/".parse().expect("a URL"));
        let shown = shown.and_then(Proxy::shown).expect("a user");
        assert_eq!(shown, "Basic dXNlcjp3QHJk");

        let one = Proxies::one(Proxy::new("socks5://[::1]").expect("a URL"));
        assert_eq!(way(&one, "https://127.0.0.1:1/"), "::1:1080");
        assert_eq!(way(&Proxies::default(), "https://far.example/"), "direct");
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for proxy in ["ftp://p", "http://", "not a url"] {
            let refused = Proxies::new(proxy, "", "").map(drop);
            let refused = refused.expect_err("it is none").to_string();
            assert!(refused.contains("HTTPS_PROXY"), "{proxy}");
        }
        assert!(Proxies::new("", "", "").is_ok());
    }
}
