//! Questions to the cluster DNS of a running node, over its own address.

use super::{Row, start};
use crate::bench::Bench;
use crate::figure::{Figure, Samples, Unit};
use crate::load::{self, Load};
use crate::objects::{namespace, post, service};
use crate::process::Spent;
use crate::server::{CLUSTER_DNS, Options};
use anyhow::{Context as _, Result, anyhow, bail};
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

const RATE: Figure = Figure::new("cluster DNS, A records of 1,000 Services", Unit::PerSecond)
    .kubernetes("76,000–82,000/s")
    .at_least(150_000.0);
const SERVER: Figure = Figure::new(
    "cluster DNS, processor of the server for each",
    Unit::MicrosEach,
);
const CLIENT: Figure = Figure::new(
    "cluster DNS, processor of the client for each",
    Unit::MicrosEach,
);

const SERVICES: usize = 1_000;
const CLIENTS: usize = 2;
/// Questions on their way at once, for each client.
const WINDOW: usize = 64;
const QUESTIONS: usize = 200_000 / WINDOW * WINDOW;

pub const ROW: Row = Row {
    name: "dns",
    own: true,
    figures: &[RATE, SERVER, CLIENT],
    measure: |bench, samples| Box::pin(measure(bench, samples)),
};

async fn measure(bench: &Bench, samples: &mut Samples) -> Result<()> {
    let options = Options {
        node: true,
        ..Options::default()
    };
    let server = bench.server(options).await?;
    start::wait_node(&server).await?;
    namespace(&mut server.connect().await?, "bench-dns").await?;
    let load = Load {
        in_flight: 1,
        count: SERVICES,
        make: &|n| post("/api/v1/namespaces/bench-dns/services", &service(&name(n))),
        expect: b"{\"kind\":\"Service\"",
    };
    load::run(&server, &bench.clock, &load).await?;
    wait_answered(bench).await?;
    for _ in 0..bench.runs(5) {
        let before = Spent::now(&server.pids);
        let start = bench.clock.now();
        let clients: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(ask)).collect();
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        let elapsed = bench.clock.since(start).as_secs_f64();
        let spent = Spent::now(&server.pids).since(before);
        let count = (CLIENTS * QUESTIONS) as f64;
        samples.add(&RATE, count / elapsed);
        samples.add(&SERVER, spent.server.as_secs_f64() * 1e6 / count);
        samples.add(&CLIENT, spent.client.as_secs_f64() * 1e6 / count);
    }
    Ok(())
}

fn name(number: usize) -> String {
    format!("web-{number}")
}

/// Asks with a window of questions on their way.
fn ask() -> Result<()> {
    let socket = socket(Duration::from_secs(2))?;
    let questions: Vec<_> = (0..SERVICES).map(|n| question(&name(n))).collect();
    let mut answer = [0; 2048];
    let mut asked = questions.iter().cycle();
    for _ in 0..QUESTIONS / WINDOW {
        for question in asked.by_ref().take(WINDOW) {
            socket.send(question).context("ask cluster DNS")?;
        }
        for _ in 0..WINDOW {
            socket.recv(&mut answer).context("hear from cluster DNS")?;
            if !is_answer(&answer) {
                bail!("cluster DNS answered without an address");
            }
        }
    }
    Ok(())
}

/// Waits until the last Service has a name.
async fn wait_answered(bench: &Bench) -> Result<()> {
    let socket = socket(Duration::from_millis(200))?;
    let question = question(&name(SERVICES - 1));
    let mut answer = [0; 2048];
    for _ in 0..100 {
        let heard = socket
            .send(&question)
            .and_then(|_| socket.recv(&mut answer));
        if heard.is_ok() && is_answer(&answer) {
            return Ok(());
        }
        bench.clock.sleep(Duration::from_millis(100)).await;
    }
    bail!("cluster DNS does not know the Services")
}

fn socket(patience: Duration) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("open a socket")?;
    socket
        .connect((Ipv4Addr::from(CLUSTER_DNS), 53))
        .context("reach cluster DNS")?;
    socket
        .set_read_timeout(Some(patience))
        .context("set a deadline")?;
    Ok(socket)
}

/// No error, and one record.
fn is_answer(message: &[u8; 2048]) -> bool {
    message[3] & 0x0f == 0 && message[7] == 1
}

/// A question for the A record of a Service.
fn question(service: &str) -> Vec<u8> {
    let mut out = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [service, "bench-dns", "svc", "cluster", "local"] {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.extend_from_slice(&[0, 0, 1, 0, 1]);
    out
}
