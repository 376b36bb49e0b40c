//! Who is asked directly: the entries of `NO_PROXY`.

use http::Uri;
use std::net::IpAddr;

/// Hosts, domains and networks, as they are listed with commas between.
#[derive(Clone, Debug, Default)]
pub(crate) struct Direct(Vec<Entry>);

#[derive(Clone, Debug)]
enum Entry {
    Everybody,
    Network(IpAddr, u32),
    Host {
        name: String,
        port: Option<u16>,
        /// A leading dot or asterisk: what is below the name, but not the name.
        only_below: bool,
    },
}

impl Direct {
    /// Reads the list.
    pub(crate) fn new(list: &str) -> Self {
        let entries = list.split(',').map(str::trim).filter(|e| !e.is_empty());
        Direct(entries.map(Entry::new).collect())
    }

    /// Whether a server is asked directly. This machine always is.
    pub(crate) fn has(&self, uri: &Uri) -> bool {
        let host = bare(uri.host().unwrap_or_default()).to_ascii_lowercase();
        let usual = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(usual);
        let address: Option<IpAddr> = host.parse().ok();
        let is_here = host == "localhost" || address.is_some_and(|a| a.is_loopback());
        is_here || self.0.iter().any(|entry| entry.has(&host, address, port))
    }
}

impl Entry {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Entry::Everybody;
        }
        let network = text.split_once('/');
        if let Some((address, length)) = network
            && let (Ok(address), Ok(length)) = (address.parse(), length.parse())
        {
            return Entry::Network(address, length);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok())
            }
            _ => (text.as_str(), None),
        };
        let host = bare(host);
        let below = host.strip_prefix("*.").or_else(|| host.strip_prefix('.'));
        Entry::Host {
            name: below.unwrap_or(host).to_owned(),
            port,
            only_below: below.is_some(),
        }
    }

    fn has(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match self {
            Entry::Everybody => true,
            Entry::Network(network, length) => {
                address.is_some_and(|address| is_within(address, *network, *length))
            }
            Entry::Host {
                name,
                port: only,
                only_below,
            } => {
                let is_name = !only_below && host == name;
                let below = host.strip_suffix(name.as_str());
                let is_below =
                    address.is_none() && below.is_some_and(|before| before.ends_with('.'));
                (is_name || is_below) && only.is_none_or(|only| only == port)
            }
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let differ = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    differ >= length
}

/// An address of version 6 without its brackets.
pub(crate) fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_asked_directly() {
        let direct = Direct::new(
            "corp.example, .dot.example,*.star.example,10.0.0.0/8,192.0.2.1,port.example:8443,fd00::/8",
        );
        for (url, want) in [
            ("https://registry.example/v2/", false),
            ("http://corp.example/v2/", true),
            ("https://A.Corp.Example:5000/v2/", true),
            ("https://notcorp.example/v2/", false),
            ("https://a.dot.example/v2/", true),
            ("https://dot.example/v2/", false),
            ("https://a.star.example/", true),
            ("https://star.example/", false),
            ("https://10.1.2.3/v2/", true),
            ("https://11.1.2.3/v2/", false),
            ("https://192.0.2.1:5000/v2/", true),
            ("https://192.0.2.2/v2/", false),
            ("https://port.example:8443/", true),
            ("https://port.example/", false),
            ("https://[fd00::1]/", true),
            ("https://[fe00::1]/", false),
            ("http://127.0.0.1:5000/v2/", true),
            ("https://localhost/v2/", true),
            ("https://[::1]:5000/v2/", true),
        ] {
            assert_eq!(direct.has(&url.parse().expect("a URL")), want, "{url}");
        }
        let everybody = Direct::new("*");
        assert!(everybody.has(&"https://registry.example/".parse().expect("a URL")));
    }
}
