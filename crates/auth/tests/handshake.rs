//! Real TLS handshakes: a certificate of an unknown authority must not end the
//! connection, and one of ours must make a user, however it was made.

use auth::pki::{Config, Pki};
use auth::{
    Authenticator, Authenticators, CertificateAuthenticator, Credentials, Rejected, StaticTokens,
    User,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use stdx::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

struct Bench {
    dir: tempfile::TempDir,
    pki: Pki,
    authenticators: Authenticators,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        dir: dir.path().join("tls"),
        node_name: "one".into(),
        node_addresses: vec![],
        server_names: vec![],
    };
    let pki = Pki::open(config, Clock::system()).unwrap();
    let by_certificate =
        CertificateAuthenticator::new(pki.client_ca_der(), Clock::system()).unwrap();
    let admin = User::new("by-token", &["system:masters"]);
    let tokens = StaticTokens::new(vec![("sesame".into(), admin)]);
    let authenticators = Authenticators::new(vec![Arc::new(by_certificate), Arc::new(tokens)]);
    Bench {
        dir,
        pki,
        authenticators,
    }
}

type Identity = Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>;

impl Bench {
    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }

    fn identity(&self, name: &str) -> Identity {
        let path = |extension: &str| self.dir.path().join(format!("{name}.{extension}"));
        let chain = CertificateDer::pem_file_iter(path("crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(path("key")).unwrap();
        Some((chain.collect::<Result<_, _>>().unwrap(), key))
    }

    /// Shakes hands; what the server saw of the client's certificates.
    async fn shake(
        &self,
        identity: Identity,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Vec<Vec<u8>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.pki.server_ca_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let client = match identity {
            Some((chain, key)) => {
                // The short way refuses certificates of version 1.
                let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
                let certified = CertifiedKey::new(chain, signer);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
            None => builder.with_no_client_auth(),
        };
        let (near, far) = duplex(64 * 1024);
        let acceptor = TlsAcceptor::from(self.pki.server_config().unwrap());
        let connector = TlsConnector::from(Arc::new(client));
        let name = ServerName::try_from("kubernetes.default.svc").unwrap();
        let (server, client) = tokio::join!(acceptor.accept(near), connector.connect(name, far));
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        let chain = server.get_ref().1.peer_certificates().unwrap_or_default();
        chain.iter().map(|der| der.to_vec()).collect()
    }

    async fn who(
        &self,
        certificates: &[Vec<u8>],
        bearer: Option<&str>,
    ) -> Result<Option<User>, Rejected> {
        let credentials = Credentials {
            bearer,
            certificates,
            audiences: &[],
        };
        self.authenticators.authenticate(&credentials).await
    }
}

const BOTH: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

#[tokio::test]
async fn an_unknown_authority_falls_through_to_the_token() {
    let bench = bench();
    for (kind, key) in [
        ("p256", "ec -pkeyopt ec_paramgen_curve:P-256"),
        ("rsa", "rsa:2048"),
    ] {
        bench.openssl(&format!("req -x509 -newkey {key} -nodes -keyout {kind}.key -out {kind}.crt -days 2 -subj /O=system:masters/CN=mallory"));
        for version in BOTH {
            let seen = bench.shake(bench.identity(kind), &[version]).await;
            assert_eq!(seen.len(), 1);
            let user = bench.who(&seen, Some("sesame")).await.unwrap().unwrap();
            assert_eq!(user.name, "by-token");
            assert!(
                bench.who(&seen, None).await.is_err(),
                "refused, not anonymous"
            );
        }
    }
    for version in BOTH {
        assert!(bench.shake(None, &[version]).await.is_empty());
    }
    assert_eq!(bench.who(&[], None).await.unwrap(), None);
    assert_eq!(bench.who(&[], Some("wrong")).await.unwrap(), None);
}

#[tokio::test]
async fn what_our_authority_signed_is_a_user() {
    let bench = bench();
    let seen = bench.shake(own(&bench, "tls/client-admin"), &BOTH).await;
    for _ in 0..2 {
        let user = bench.who(&seen, None).await.unwrap().unwrap();
        assert_eq!(user.name, "system:admin");
        assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
        let id = &user.extra[auth::user::CREDENTIAL_ID][0];
        assert!(id.starts_with("X509SHA256=") && id.len() == 75, "{id}");
    }
}

#[tokio::test]
async fn certificates_as_tutorials_make_them_are_users() {
    let bench = bench();
    bench.openssl(
        "req -newkey rsa:2048 -nodes -keyout jane.key -out jane.csr -subj /O=dev/O=ops/CN=jane",
    );
    let sign = "x509 -req -in jane.csr -CA tls/client-ca.crt -CAkey tls/client-ca.key -CAcreateserial -out jane.crt -days 2";
    bench.openssl(sign);
    for version in BOTH {
        let seen = bench.shake(bench.identity("jane"), &[version]).await;
        let user = bench.who(&seen, None).await.unwrap().unwrap();
        assert_eq!((user.name.as_str(), user.groups.len()), ("jane", 3));
        assert!(user.is_in("dev") && user.is_in("ops"));
    }
    let extensions = bench.dir.path().join("server.ext");
    std::fs::write(&extensions, "extendedKeyUsage=serverAuth").unwrap();
    bench.openssl(&format!(
        "{sign} -extfile {}",
        Path::new("server.ext").display()
    ));
    let seen = bench.shake(bench.identity("jane"), &BOTH).await;
    assert!(
        bench.who(&seen, None).await.is_err(),
        "a server's certificate is no client's"
    );
}

fn own(bench: &Bench, name: &str) -> Identity {
    bench.identity(name)
}
