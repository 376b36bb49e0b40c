//! The connection to an etcd cluster, and its calls.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::Stream;
use http::{Uri, uri::PathAndQuery};
use prost::Message;
use stdx::Clock;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;

use super::messages::{
    CompactionRequest, CompactionResponse, LeaseGrantRequest, LeaseGrantResponse, RangeRequest,
    RangeResponse, StatusRequest, StatusResponse, TxnRequest, TxnResponse, WatchRequest,
    WatchResponse,
};

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(10);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_DEADLINE: Duration = Duration::from_secs(10);

/// Where the cluster is and how it knows us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The members' client URLs: `http://…` or `https://…`, not mixed.
    pub urls: Vec<String>,
    /// The certificates that the members' are signed by; needed for https.
    pub cafile: Option<PathBuf>,
    /// Our certificate.
    pub certfile: Option<PathBuf>,
    /// The key of our certificate.
    pub keyfile: Option<PathBuf>,
}

/// Why a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no URL.
    #[error("no etcd endpoint is given")]
    NoEndpoint,
    /// A URL cannot be used.
    #[error("etcd endpoint {url}: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file of the configuration is missing or cannot be read.
    #[error("reading {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A setting needs another one.
    #[error("{given} is given without {missing}")]
    Incomplete {
        /// What is there.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// The certificates or the key do not make sense.
    #[error("setting up TLS to etcd")]
    Tls(#[source] tonic::transport::Error),
    /// No member answered.
    #[error("connecting to etcd at {urls}")]
    Unreachable {
        /// The members.
        urls: String,
        /// The last answer.
        #[source]
        source: Box<Status>,
    },
}

/// Calls to a cluster. Clones share the connections.
#[derive(Clone)]
pub(super) struct Connection {
    channel: Channel,
    clock: Clock,
}

impl Connection {
    /// Prepares connections to the members; they are made when needed.
    pub(super) async fn new(endpoints: &Endpoints, clock: Clock) -> Result<Self, ConnectError> {
        if endpoints.urls.is_empty() {
            return Err(ConnectError::NoEndpoint);
        }
        let tls = tls(endpoints).await?;
        let members = endpoints
            .urls
            .iter()
            .map(|url| member(url, tls.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        let channel = match <[Endpoint; 1]>::try_from(members) {
            Ok([member]) => member.connect_lazy(),
            Err(members) => Channel::balance_list(members.into_iter()),
        };
        Ok(Self { channel, clock })
    }

    pub(super) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Status> {
        self.call("/etcdserverpb.KV/Range", request).await
    }

    pub(super) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Status> {
        self.call("/etcdserverpb.KV/Txn", request).await
    }

    pub(super) async fn compact(
        &self,
        request: CompactionRequest,
    ) -> Result<CompactionResponse, Status> {
        self.call("/etcdserverpb.KV/Compact", request).await
    }

    pub(super) async fn grant(
        &self,
        request: LeaseGrantRequest,
    ) -> Result<LeaseGrantResponse, Status> {
        self.call("/etcdserverpb.Lease/LeaseGrant", request).await
    }

    pub(super) async fn status(&self) -> Result<StatusResponse, Status> {
        self.call("/etcdserverpb.Maintenance/Status", StatusRequest {})
            .await
    }

    /// Opens a stream of watches; it lives as long as the requests and the
    /// responses do.
    pub(super) async fn watch(
        &self,
        requests: impl Stream<Item = WatchRequest> + Send + 'static,
    ) -> Result<Streaming<WatchResponse>, Status> {
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let call = async {
            let mut grpc = self.ready().await?;
            let codec = ProstCodec::default();
            grpc.streaming(Request::new(requests), path, codec).await
        };
        Ok(self.bounded(call).await?.into_inner())
    }

    async fn call<M, R>(&self, path: &'static str, request: M) -> Result<R, Status>
    where
        M: Message + 'static,
        R: Message + Default + 'static,
    {
        let call = async {
            let mut grpc = self.ready().await?;
            let path = PathAndQuery::from_static(path);
            let codec = ProstCodec::default();
            grpc.unary(Request::new(request), path, codec).await
        };
        Ok(self.bounded(call).await?.into_inner())
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        // Whatever the server was able to send may be received.
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready()
            .await
            .map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        self.clock
            .timeout(DEADLINE, call)
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "no answer in time")))
    }
}

async fn tls(endpoints: &Endpoints) -> Result<Option<ClientTlsConfig>, ConnectError> {
    let Endpoints {
        urls,
        cafile,
        certfile,
        keyfile,
    } = endpoints;
    let secure = urls
        .iter()
        .filter(|url| url.starts_with("https://"))
        .count();
    if secure == 0 {
        return Ok(None);
    }
    if let Some(plain) = urls.iter().find(|url| !url.starts_with("https://")) {
        return Err(ConnectError::Url {
            url: plain.clone(),
            why: "plain and secure members cannot be mixed",
        });
    }
    let Some(cafile) = cafile else {
        return Err(ConnectError::Incomplete {
            given: "an https endpoint",
            missing: "a CA file",
        });
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(cafile).await?));
    match (certfile, keyfile) {
        (Some(certfile), Some(keyfile)) => {
            let (cert, key) = (read(certfile).await?, read(keyfile).await?);
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        (None, None) => {}
        (Some(_), None) => {
            let (given, missing) = ("a certificate file", "its key file");
            return Err(ConnectError::Incomplete { given, missing });
        }
        (None, Some(_)) => {
            let (given, missing) = ("a key file", "its certificate file");
            return Err(ConnectError::Incomplete { given, missing });
        }
    }
    Ok(Some(tls))
}

async fn read(file: &PathBuf) -> Result<Vec<u8>, ConnectError> {
    tokio::fs::read(file)
        .await
        .map_err(|source| ConnectError::File {
            file: file.clone(),
            source,
        })
}

fn member(url: &str, tls: Option<&ClientTlsConfig>) -> Result<Endpoint, ConnectError> {
    let bad = |why| ConnectError::Url {
        url: url.to_owned(),
        why,
    };
    let uri: Uri = url.parse().map_err(|_| bad("it is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("its scheme is neither http nor https"));
    }
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_DEADLINE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_DEADLINE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    match tls {
        Some(tls) => endpoint.tls_config(tls.clone()).map_err(ConnectError::Tls),
        None => Ok(endpoint),
    }
}

/// Turns an answer that is an error into ours.
pub(super) fn backend(operation: &'static str, status: Status) -> crate::Error {
    let unknown = !matches!(
        status.code(),
        Code::InvalidArgument
            | Code::OutOfRange
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::ResourceExhausted
            | Code::Unimplemented
    );
    crate::Error::Backend {
        operation,
        unknown,
        source: Arc::new(status),
    }
}
