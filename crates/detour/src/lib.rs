//! Through which proxy a server is reached, and how.
//!
//! Proxies are named by the environment (`HTTPS_PROXY`, `HTTP_PROXY`, and in `NO_PROXY` who is
//! asked directly) or by whoever configures a client. They speak HTTP, HTTP over TLS, or SOCKS5.
//! Connections to them, and TLS, are their users' own; what is here finds the proxy and talks it
//! into leading on.
//!
//! Follows Go's golang.org/x/net/http/httpproxy and net/http, which client-go and containerd use.

mod direct;
mod proxy;
mod stream;

pub use proxy::{Proxies, Proxy, ProxyError};
pub use stream::{Io, Stream};
