//! The door's streams over SPDY, plain and tunnelled in a WebSocket.

use super::*;
use ::spdy::{Headers, Receiver, Role as Side, Session, session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Client {
    session: Session,
    _driver: tokio::task::JoinHandle<()>,
}

impl Client {
    fn new(io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static) -> Client {
        let (session, driver) = session(io, Side::Client, Clock::system());
        Client {
            session,
            _driver: tokio::spawn(driver),
        }
    }

    async fn stream(&self, headers: &[(&str, &str)]) -> (::spdy::Sender, Receiver) {
        let headers = headers
            .iter()
            .fold(Headers::default(), |all, (name, value)| {
                all.with(name, value)
            });
        self.session.open(headers).await.unwrap().split()
    }
}

async fn all(mut receiver: Receiver) -> String {
    let mut out = Vec::new();
    while let Some(bytes) = receiver.recv().await {
        out.extend_from_slice(&bytes);
    }
    String::from_utf8(out).unwrap()
}

impl House {
    async fn upgrade(&self, path: &str, protocols: &[&str]) -> Response<Incoming> {
        let mut request = Request::post(path)
            .header("host", "node1")
            .header("connection", "Upgrade")
            .header("upgrade", "SPDY/3.1");
        for protocol in protocols {
            request = request.header("x-stream-protocol-version", *protocol);
        }
        let request = request.body(Full::default()).unwrap();
        self.send(Some(("admin", &self.ca)), request).await
    }

    async fn spdy(&self, path: &str, protocol: &str) -> Client {
        let answer = self.upgrade(path, &["v9.channel.k8s.io", protocol]).await;
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers()["x-stream-protocol-version"], protocol);
        Client::new(TokioIo::new(hyper::upgrade::on(answer).await.unwrap()))
    }
}

#[tokio::test]
async fn commands_stream_over_every_version() {
    let house = House::with_pod().await;
    let output = ExecOutput {
        stdout: b"out".to_vec(),
        stderr: b"err".to_vec(),
        exit_code: 3,
    };
    house.runtime.script_exec("a", &["bad"], output);
    let path = "/exec/default/web/a?command=bad&output=1&error=1";
    for protocol in [
        "v4.channel.k8s.io",
        "v3.channel.k8s.io",
        "v2.channel.k8s.io",
        "channel.k8s.io",
    ] {
        let client = house.spdy(path, protocol).await;
        let (_error, error) = client.stream(&[("streamType", "error")]).await;
        let (_stdout, stdout) = client.stream(&[("streamType", "stdout")]).await;
        let (_stderr, stderr) = client.stream(&[("streamType", "stderr")]).await;
        let (error, stdout, stderr) = tokio::join!(all(error), all(stdout), all(stderr));
        assert_eq!((&*stdout, &*stderr), ("out", "err"));
        let message = "command terminated with non-zero exit code: exit status 3";
        if protocol == "v4.channel.k8s.io" {
            let outcome: Value = serde_json::from_str(&error).unwrap();
            assert_eq!(outcome["message"], message);
            assert_eq!(outcome["details"]["causes"][0]["message"], "3");
        } else {
            assert_eq!(error, message);
        }
    }
    let refused = house.upgrade(path, &["v9.channel.k8s.io"]).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let accepted = refused
        .headers()
        .get_all("x-accepted-stream-protocol-versions");
    assert_eq!(accepted.iter().count(), 4);
}

#[tokio::test]
async fn input_ends_by_its_half() {
    let house = House::with_pod().await;
    let path = "/attach/default/web/a?stdin=1&stdout=1";
    let client = house.spdy(path, "v4.channel.k8s.io").await;
    let (_error, error) = client.stream(&[("streamType", "error")]).await;
    let (stdin, ended) = client.stream(&[("streamType", "stdin")]).await;
    let (_stdout, stdout) = client.stream(&[("streamType", "stdout")]).await;
    let sending = async {
        stdin.send(vec![b'x'; 300_000].into()).await.unwrap();
        stdin.finish().await;
    };
    let (echoed, (), error) = tokio::join!(all(stdout), sending, all(error));
    assert_eq!(echoed.len(), 300_000);
    assert_eq!(
        error,
        json!({"metadata": {}, "status": "Success"}).to_string()
    );
    assert_eq!(all(ended).await, "");
}

async fn check_ports(client: &Client) {
    for id in ["0", "1"] {
        let headers = |kind| [("streamType", kind), ("port", "80"), ("requestID", id)];
        let (_error, error) = client.stream(&headers("error")).await;
        let (data, echo) = client.stream(&headers("data")).await;
        let sending = async {
            data.send(vec![b'y'; 300_000].into()).await.unwrap();
            data.finish().await;
        };
        let (echoed, (), error) = tokio::join!(all(echo), sending, all(error));
        assert_eq!((echoed.len(), &*error), (300_000, ""));
    }
    let nowhere = [("streamType", "data"), ("port", "0"), ("requestID", "2")];
    let (_data, echo) = client.stream(&nowhere).await;
    assert_eq!(all(echo).await, "");
}

#[tokio::test]
async fn ports_are_forwarded_as_pairs_of_streams() {
    let house = House::with_pod().await;
    let path = "/portForward/default/web";
    check_ports(&house.spdy(path, "portforward.k8s.io").await).await;
}

#[tokio::test]
async fn connections_end_when_nothing_is_said() {
    let short = |config: &mut Config| config.streaming_idle_timeout = Duration::from_millis(200);
    let house = House::configured(short).await.and_pod().await;
    let mut client = house
        .spdy("/portForward/default/web", "portforward.k8s.io")
        .await;
    let ended = tokio::time::timeout(Duration::from_secs(20), client.session.accept()).await;
    assert!(ended.is_ok_and(|stream| stream.is_none()));
}

#[tokio::test]
async fn ports_are_forwarded_through_a_tunnel() {
    let house = House::with_pod().await;
    let protocol = "SPDY/3.1+portforward.k8s.io";
    let socket = house.open("/portForward/default/web", protocol).await;
    let (mut sink, mut source) = socket.unwrap().split();
    let (inner, outer) = tokio::io::duplex(1 << 10);
    let (mut reader, mut writer) = tokio::io::split(outer);
    tokio::spawn(async move {
        let mut piece = vec![0; 1 << 10];
        while let Ok(length @ 1..) = reader.read(&mut piece).await {
            let message = Message::Binary(Bytes::copy_from_slice(&piece[..length]));
            sink.send(message).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Some(Ok(message)) = source.next().await {
            writer.write_all(&message.into_data()).await.unwrap();
        }
    });
    check_ports(&Client::new(inner)).await;
}
