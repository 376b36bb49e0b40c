//! How many questions a second the server answers, over loopback, with the
//! clients on the same machine: `cargo run --release -p dns --example flood`.
//!
//! Prints questions a second, and the processor time of the server for each.

#![expect(clippy::unwrap_used, reason = "a measurement may fail loudly")]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};

use dns::{
    Config, Port, Reach, Server, Service, Slice, Zone,
    answer::{Cluster, answer},
    name::Name,
    wire,
};
use stdx::{Clock, Rng};

/// Questions on their way at once, for each client.
const WINDOW: usize = 64;

/// Questions of each client.
const QUESTIONS: usize = 400_000;

const SERVICES: usize = 1000;

fn zone() -> Zone {
    let zone = Zone::new();
    zone.set_namespace("default");
    for number in 0..SERVICES {
        let address = Ipv4Addr::from(0x0a2b_0000 + number as u32);
        let port = Port {
            name: "http".into(),
            protocol: "TCP".into(),
            number: 80,
        };
        zone.set_service(Service {
            namespace: "default".into(),
            name: format!("web-{number}"),
            reach: Reach::Cluster(vec![address.into()]),
            ports: vec![port.clone()],
            external_ips: Vec::new(),
        });
        zone.set_slice(Slice {
            namespace: "default".into(),
            name: format!("web-{number}-1"),
            service: format!("web-{number}"),
            endpoints: vec![(address.into(), None)],
            ports: vec![port],
        });
    }
    zone.set_synced();
    zone
}

/// Asks, with a window of questions on their way; returns the nanoseconds
/// that this thread took of a processor.
fn client(server: SocketAddr) -> u64 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let questions = questions();
    let mut buffer = [0; 2048];
    for round in 0..QUESTIONS / WINDOW {
        for number in 0..WINDOW {
            let question = &questions[(round * WINDOW + number) % SERVICES];
            socket.send(question).unwrap();
        }
        for _ in 0..WINDOW {
            let size = socket.recv(&mut buffer).unwrap();
            assert!(size > 12 && buffer[3] & 0x0f == 0 && buffer[7] == 1);
        }
    }
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

/// Nanoseconds that this process took of processors.
fn processor_time() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .map(|stat| stat.split(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// What the answers cost without any socket.
fn alone(clock: &Clock) {
    let zone = zone();
    let cluster = Cluster {
        zone: Name::parse("cluster.local").unwrap(),
        domain: "cluster.local".into(),
        ttl: 5,
        servers: Vec::new(),
    };
    let questions = questions();
    let mut reply = wire::Reply::default();
    let mut out = Vec::new();
    let start = clock.now();
    for number in 0..QUESTIONS {
        let query = wire::read(&questions[number % SERVICES]).unwrap();
        reply.clear();
        answer(&query, &cluster, &zone, &mut reply);
        wire::write(&query, &reply, query.limit(true), &mut out);
    }
    let nanos = clock.since(start).as_nanos() as f64;
    println!(
        "without sockets: {:.2} µs each",
        nanos / QUESTIONS as f64 / 1000.0
    );
}

fn questions() -> Vec<Vec<u8>> {
    (0..SERVICES)
        .map(|number| {
            let name = format!("web-{number}.default.svc.cluster.local");
            let mut out = Vec::new();
            wire::write_query(7, &Name::parse(&name).unwrap(), wire::kind::A, &mut out);
            out
        })
        .collect()
}

fn main() {
    let clock = Clock::system();
    alone(&clock);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let config = Config::new(vec![(Ipv4Addr::LOCALHOST, 0).into()]);
    let server = Server::bind(&config, Arc::new(zone()), clock.clone(), Rng::system()).unwrap();
    let address = server.handle().addresses()[0];
    runtime.spawn(server.run());
    for clients in [1, 2, 4] {
        let before = processor_time();
        let start = clock.now();
        let threads: Vec<_> = (0..clients)
            .map(|_| thread::spawn(move || client(address)))
            .collect();
        let theirs: u64 = threads.into_iter().map(|t| t.join().unwrap()).sum();
        let seconds = clock.since(start).as_secs_f64();
        // Threads that ended are not counted any more, so this is ours alone.
        let ours = processor_time() - before;
        let count = (clients * (QUESTIONS / WINDOW) * WINDOW) as f64;
        println!(
            "{clients} clients: {:.0} questions/s; server {:.2} µs, client {:.2} µs each",
            count / seconds,
            ours as f64 / count / 1000.0,
            theirs as f64 / count / 1000.0
        );
    }
}
