//! Where the API server is, how it proves itself, and how the client does.

use detour::Proxies;
use http::uri::{Authority, Scheme};
use std::path::PathBuf;

/// How to reach an API server over a socket.
#[derive(Clone, Debug, Default)]
pub struct HttpConfig {
    /// `https://host:port`, with a path if the server lies below one.
    pub server: String,
    /// The name that the server's certificate must have, if it is not the host.
    pub tls_server_name: Option<String>,
    /// Who may have signed the server's certificate.
    pub ca: Option<Pem>,
    /// Believe any certificate. Never a default.
    pub insecure_skip_tls_verify: bool,
    /// The client's certificate (chain) and private key.
    pub client_certificate: Option<(Pem, Pem)>,
    /// The client's bearer token.
    pub token: Option<Token>,
    /// Which proxies stand between. None unless somebody names them.
    pub proxies: Proxies,
}

/// PEM text, given or in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// The text itself.
    Data(Vec<u8>),
    /// The file that holds it.
    File(PathBuf),
}

/// A bearer token, given or in a file that is read again from time to time.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// The token itself.
    Value(String),
    /// The file that holds it.
    File(PathBuf),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("Token(<secret>)"),
            Self::File(path) => write!(formatter, "Token({})", path.display()),
        }
    }
}

/// The configuration does not describe a usable connection.
#[derive(Debug, thiserror::Error)]
pub enum HttpConfigError {
    /// The server's address is not a URL with a host.
    #[error("server address {server:?} is not an http or https URL")]
    Server {
        /// The address as given.
        server: String,
    },
    /// Over TLS one has to know whom to believe.
    #[error("no certificate authority given for {server}")]
    NoAuthority {
        /// The address as given.
        server: String,
    },
    /// A file could not be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The PEM text does not hold what it should.
    #[error("read {what} from PEM")]
    Pem {
        /// What should be there.
        what: &'static str,
        /// What went wrong.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A certificate or key cannot be used.
    #[error("use {what}")]
    Unusable {
        /// Which.
        what: &'static str,
        /// What went wrong.
        #[source]
        source: rustls::Error,
    },
    /// The name that the server's certificate shall have is not a name.
    #[error("TLS server name {name:?} is not a host name")]
    ServerName {
        /// The name as given.
        name: String,
    },
}

impl HttpConfig {
    /// Scheme, authority and path prefix of the server.
    pub(super) fn address(&self) -> Result<(Scheme, Authority, String), HttpConfigError> {
        let bad = || HttpConfigError::Server {
            server: self.server.clone(),
        };
        let parts = self
            .server
            .parse::<http::Uri>()
            .map_err(|_| bad())?
            .into_parts();
        let scheme = parts
            .scheme
            .filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            .ok_or_else(bad)?;
        let prefix = parts
            .path_and_query
            .map(|path| path.path().trim_end_matches('/').to_owned());
        Ok((
            scheme,
            parts.authority.ok_or_else(bad)?,
            prefix.unwrap_or_default(),
        ))
    }
}

impl Pem {
    /// The text.
    pub(super) fn read(&self) -> Result<Vec<u8>, HttpConfigError> {
        match self {
            Self::Data(data) => Ok(data.clone()),
            Self::File(path) => std::fs::read(path).map_err(|source| HttpConfigError::Read {
                path: path.clone(),
                source,
            }),
        }
    }
}
