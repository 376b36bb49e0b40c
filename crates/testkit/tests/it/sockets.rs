//! The client over a socket to the real server: certificates, HTTP/2, watches, and an informer
//! above them. Time is real here; conditions are waited for, within a bound.

use crate::cluster;
use apiserver::edge;
use client::http::Pem;
use client::{Client, DeleteOptions, HttpConfig, HttpTransport};
use informer::{Factory, Informer};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Rng, Supervisor};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use typed::api::core::v1::ConfigMap;
use typed::{Typed, Wire};

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come to be");
}

fn map(name: &str, value: &str) -> ConfigMap {
    let map = json!({"metadata": {"name": name, "namespace": "a"}, "data": {"k": value}});
    ConfigMap::decode(map.to_string().as_bytes()).expect("a ConfigMap")
}

fn values(informer: &Informer<ConfigMap>) -> Vec<String> {
    let value = |map: &ConfigMap| {
        map.data
            .as_ref()
            .and_then(|data| data.get("k").cloned())
            .unwrap_or_default()
    };
    informer
        .store()
        .list()
        .iter()
        .map(|map| format!("{}={}", map.name(), value(map)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_informer_follows_over_tls() {
    let clock = Clock::system();
    let supervisor = Supervisor::new("test");
    let server = cluster::server(&clock, &supervisor).await;
    let made =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server configuration");
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let config = HttpConfig {
        server: format!("https://{}", listener.local_addr().expect("an address")),
        ca: Some(Pem::Data(made.cert.pem().into_bytes())),
        ..Default::default()
    };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(edge::serve(server, listener, Arc::new(tls), stop.clone()));

    let client = Client::new(Arc::new(
        HttpTransport::new(&config, clock.clone()).expect("a transport"),
    ));
    let namespace = json!({"metadata": {"name": "a"}});
    let namespace = typed::api::core::v1::Namespace::decode(namespace.to_string().as_bytes())
        .expect("a namespace");
    client
        .api()
        .create(&namespace)
        .await
        .expect("the namespace is created");
    let maps = client.api::<ConfigMap>().namespace("a");
    maps.create(&map("one", "1")).await.expect("it is created");
    let factory = Factory::new(client.clone(), clock, Rng::system(), supervisor.clone());
    let informer = factory.informer::<ConfigMap>();
    until("the first object", || values(&informer) == ["one=1"]).await;
    let second = maps.create(&map("two", "2")).await.expect("it is created");
    let changed = ConfigMap {
        data: Some([("k".to_owned(), "3".to_owned())].into()),
        ..second.clone()
    };
    maps.replace(&changed).await.expect("it is replaced");
    assert!(
        maps.replace(&second)
            .await
            .expect_err("it is stale")
            .is_conflict()
    );
    maps.delete("one", &DeleteOptions::default())
        .await
        .expect("it is deleted");
    until("the last state", || values(&informer) == ["two=3"]).await;
    assert!(
        client
            .discover()
            .await
            .expect("discovery")
            .failures
            .is_empty()
    );
    stop.cancel();
    supervisor.shutdown(Duration::from_secs(1)).await;
    serving.abort();
}
