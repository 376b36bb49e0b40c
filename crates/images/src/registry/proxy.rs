//! Proxies between this node and registries, as the environment names them:
//! `HTTPS_PROXY` and `HTTP_PROXY`, and in `NO_PROXY` who is asked directly.
//!
//! Follows Go's golang.org/x/net/http/httpproxy, which containerd uses: the
//! machine itself is never asked through a proxy.

use std::{env, sync::Arc};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::config::{ConfigError, is_loopback};

/// Which proxy leads where.
#[derive(Clone)]
pub struct Proxies(Arc<Matcher>);

/// The way to one registry.
#[derive(Clone)]
pub(super) struct Proxy(Intercept);

impl Proxies {
    /// What the environment says, in capitals or else in small letters.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let said = |name: &str| {
            let small = || env::var(name.to_ascii_lowercase());
            env::var(name).or_else(|_| small()).unwrap_or_default()
        };
        Self::new(&said("HTTPS_PROXY"), &said("HTTP_PROXY"), &said("NO_PROXY"))
    }

    /// Proxies for URLs of either scheme, and the hosts, domains and networks
    /// that are asked directly. What is empty says nothing.
    pub fn new(https: &str, http: &str, no: &str) -> Result<Self, ConfigError> {
        for (variable, proxy) in [("HTTPS_PROXY", https), ("HTTP_PROXY", http)] {
            if !proxy.is_empty() && !is_proxy(proxy) {
                return Err(ConfigError::Proxy { variable });
            }
        }
        let matcher = Matcher::builder().https(https).http(http).no(no).build();
        Ok(Self(Arc::new(matcher)))
    }

    /// The proxy for a URL, if there is one between.
    pub(super) fn of(&self, uri: &Uri) -> Option<Proxy> {
        if uri.authority().is_some_and(|to| is_loopback(to.as_str())) {
            return None;
        }
        self.0.intercept(uri).map(Proxy)
    }
}

impl Proxy {
    /// Where it is.
    pub(super) fn uri(&self) -> &Uri {
        self.0.uri()
    }

    /// What it wants to be shown.
    pub(super) fn shown(self) -> Option<HeaderValue> {
        self.0.basic_auth().cloned()
    }
}

fn is_proxy(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    uri.host().is_some() && matches!(uri.scheme_str(), None | Some("http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(proxies: &Proxies, url: &str) -> String {
        let proxy = proxies.of(&url.parse().unwrap());
        proxy.map_or("direct".to_owned(), |proxy| proxy.uri().to_string())
    }

    #[test]
    fn some_are_asked_directly() {
        let no = "corp.example, .dot.example,10.0.0.0/8,192.0.2.1";
        let proxies = Proxies::new("http://user:word@p:3128", "q:80", no).unwrap();
        for (url, want) in [
            ("https://registry.example/v2/", "http://p:3128/"),
            ("http://registry.example/v2/", "http://q:80/"),
            ("https://corp.example/v2/", "direct"),
            ("https://a.corp.example:5000/v2/", "direct"),
            ("https://notcorp.example/v2/", "http://p:3128/"),
            ("https://a.dot.example/v2/", "direct"),
            ("https://10.1.2.3/v2/", "direct"),
            ("https://192.0.2.1:5000/v2/", "direct"),
            ("https://192.0.2.2/v2/", "http://p:3128/"),
            ("http://127.0.0.1:5000/v2/", "direct"),
            ("https://localhost/v2/", "direct"),
            ("https://[::1]:5000/v2/", "direct"),
        ] {
            assert_eq!(way(&proxies, url), want, "{url}");
        }
        let shown = proxies.of(&"https://x/".parse().unwrap()).unwrap().shown();
        assert_eq!(shown.unwrap(), "Basic dXNlcjp3b3Jk");
        let all = Proxies::new("p:3128", "", "*").unwrap();
        assert_eq!(way(&all, "https://registry.example/"), "direct");
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for proxy in ["socks5://p:1080", "ftp://p", "http://", "not a url"] {
            let refused = Proxies::new(proxy, "", "").map(drop).unwrap_err();
            assert!(refused.to_string().contains("HTTPS_PROXY"), "{proxy}");
        }
        assert!(Proxies::new("", "", "").is_ok());
    }
}
