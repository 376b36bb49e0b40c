//! The connection to an etcd cluster, and its calls.

use std::{
    error::Error as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Uri, uri::PathAndQuery};
use prost::Message;
use stdx::Clock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    metadata::MetadataValue,
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
///
/// All calls go to one member until it fails; then to the next. tonic's own
/// balancing would go on sending a share of them to a member that is gone.
#[derive(Clone)]
pub(super) struct Connection {
    members: Arc<[Channel]>,
    current: Arc<AtomicUsize>,
    clock: Clock,
}

/// Whether doing a call twice is the same as doing it once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Harmless,
    Harmful,
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
            .map(|url| Ok(member(url, tls.as_ref())?.connect_lazy()))
            .collect::<Result<_, _>>()?;
        let current = Arc::default();
        Ok(Self {
            members,
            current,
            clock,
        })
    }

    pub(super) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Status> {
        self.call("/etcdserverpb.KV/Range", Repeat::Harmless, request)
            .await
    }

    pub(super) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Status> {
        self.call("/etcdserverpb.KV/Txn", Repeat::Harmful, request)
            .await
    }

    pub(super) async fn compact(
        &self,
        request: CompactionRequest,
    ) -> Result<CompactionResponse, Status> {
        self.call("/etcdserverpb.KV/Compact", Repeat::Harmful, request)
            .await
    }

    pub(super) async fn grant(
        &self,
        request: LeaseGrantRequest,
    ) -> Result<LeaseGrantResponse, Status> {
        // A lease that was granted twice ends by itself.
        self.call("/etcdserverpb.Lease/LeaseGrant", Repeat::Harmless, request)
            .await
    }

    pub(super) async fn status(&self) -> Result<StatusResponse, Status> {
        let path = "/etcdserverpb.Maintenance/Status";
        self.call(path, Repeat::Harmless, StatusRequest {}).await
    }

    /// Opens a stream with one watch; it lives as long as the requests and
    /// the responses do.
    pub(super) async fn watch(
        &self,
        create: WatchRequest,
    ) -> Result<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>), Status> {
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        self.with_members(Repeat::Harmless, |mut grpc| {
            let (path, create) = (path.clone(), create.clone());
            async move {
                let (requests, receiver) = mpsc::channel(8);
                // The channel is new and has room.
                let _ = requests.try_send(create);
                let mut request = Request::new(ReceiverStream::new(receiver));
                // A member that has lost the others then ends the watch
                // rather than be silent.
                let yes = MetadataValue::from_static("true");
                request.metadata_mut().insert("hasleader", yes);
                grpc.ready().await.map_err(not_ready)?;
                let codec = ProstCodec::default();
                let response = grpc.streaming(request, path, codec).await?;
                Ok((requests, response.into_inner()))
            }
        })
        .await
    }

    async fn call<M, R>(&self, path: &'static str, repeat: Repeat, request: M) -> Result<R, Status>
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        let path = PathAndQuery::from_static(path);
        self.with_members(repeat, |mut grpc| {
            let (path, request) = (path.clone(), Request::new(request.clone()));
            async move {
                grpc.ready().await.map_err(not_ready)?;
                let codec = ProstCodec::default();
                Ok(grpc.unary(request, path, codec).await?.into_inner())
            }
        })
        .await
    }

    /// Makes a call at one member after the other until one has an answer.
    async fn with_members<T, F>(
        &self,
        repeat: Repeat,
        call: impl Fn(Grpc<Channel>) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut left = self.members.len();
        loop {
            let current = self.current.load(Ordering::Relaxed) % self.members.len();
            // Whatever the server was able to send may be received.
            let grpc = Grpc::new(self.members[current].clone());
            let result = self
                .bounded(call(grpc.max_decoding_message_size(usize::MAX)))
                .await;
            left -= 1;
            match result {
                Err(status) if is_trouble(&status) => {
                    let next = (current + 1) % self.members.len();
                    // Another call may already have moved on.
                    let _ = self.current.compare_exchange(
                        current,
                        next,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    let again = repeat == Repeat::Harmless || was_not_sent(&status);
                    if !again || left == 0 {
                        return Err(status);
                    }
                }
                other => return other,
            }
        }
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        self.clock
            .timeout(DEADLINE, call)
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "no answer in time")))
    }
}

fn not_ready(error: tonic::transport::Error) -> Status {
    Status::from_error(Box::new(error))
}

/// Whether another member may do better.
fn is_trouble(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled
    )
}

/// Whether the call failed because there was no connection to send it on.
fn was_not_sent(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
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
        unknown: unknown && !was_not_sent(&status),
        source: Arc::new(status),
    }
}
