//! What the machine's loopback carries, bare and under TLS: no server on this
//! machine can be faster.

use super::Row;
use crate::bench::Bench;
use crate::figure::{Figure, Samples, Unit};
use anyhow::{Context as _, Result, anyhow};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

const TCP: Figure = Figure::new(
    "ceiling: loopback TCP, one stream",
    Unit::GigabytesPerSecond,
);
const TLS: Figure = Figure::new(
    "ceiling: loopback TLS, one stream",
    Unit::GigabytesPerSecond,
);

const BYTES: usize = 2_000_000_000;
const PIECE: usize = 128 * 1024;

pub const ROW: Row = Row {
    name: "ceilings",
    own: true,
    figures: &[TCP, TLS],
    measure: |bench, samples| Box::pin(async { measure(bench, samples) }),
};

fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    for _ in 0..bench.runs(5) {
        samples.add(&TCP, tcp(bench)?);
        samples.add(&TLS, tls(bench)?);
    }
    Ok(())
}

fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let address = listener.local_addr().context("listen")?;
    let client = TcpStream::connect(address).context("connect")?;
    let (server, _) = listener.accept().context("accept")?;
    Ok((client, server))
}

fn tcp(bench: &Bench) -> Result<f64> {
    let (client, server) = pair()?;
    race(bench, client, server)
}

fn tls(bench: &Bench) -> Result<f64> {
    let (client, server) = pair()?;
    let (from, to) = parties()?;
    let client = rustls::StreamOwned::new(to, client);
    let server = rustls::StreamOwned::new(from, server);
    race(bench, client, server)
}

/// Sends from one end and reads at the other; gigabytes in a second.
fn race(
    bench: &Bench,
    mut reader: impl Read + Write,
    mut writer: impl Read + Write + Send + 'static,
) -> Result<f64> {
    let writing = thread::spawn(move || -> std::io::Result<()> {
        // The reader's byte, and with it its side of a handshake, comes first.
        writer.read_exact(&mut [0])?;
        let piece = vec![7; PIECE];
        for _ in 0..BYTES / PIECE {
            writer.write_all(&piece)?;
        }
        writer.flush()
    });
    reader.write_all(&[1]).context("begin")?;
    reader.flush().context("begin")?;
    let mut buffer = vec![0; PIECE];
    let start = bench.clock.now();
    let (total, mut left) = (BYTES / PIECE * PIECE, BYTES / PIECE * PIECE);
    while left > 0 {
        left -= reader.read(&mut buffer).context("read")?.min(left);
    }
    let seconds = bench.clock.since(start).as_secs_f64();
    writing
        .join()
        .map_err(|_| anyhow!("the writer panicked"))??;
    Ok(total as f64 / seconds / 1e9)
}

fn parties() -> Result<(ServerConnection, ClientConnection)> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .context("make a certificate")?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    Ok((
        ServerConnection::new(Arc::new(server))?,
        ClientConnection::new(Arc::new(client), name)?,
    ))
}
