//! The server over real sockets: asked by dig, by a client of hickory's, and
//! by floods of rubbish; with resolvers of the tests' own behind it.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dns::{Config, Handle, Port, Reach, Server, Service, Slice, Zone};
use hickory_proto::{
    op::{Edns, Message, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use stdx::{Clock, Rng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::AbortHandle,
};

fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn http() -> Port {
    Port {
        name: "http".into(),
        protocol: "TCP".into(),
        number: 80,
    }
}

fn zone() -> Zone {
    let zone = Zone::new();
    zone.set_namespace("default");
    let service = |name: &str, reach: Reach| Service {
        namespace: "default".into(),
        name: name.into(),
        reach,
        ports: vec![http()],
        external_ips: Vec::new(),
    };
    let address: IpAddr = "10.43.0.80".parse().unwrap();
    zone.set_service(service("web", Reach::Cluster(vec![address])));
    zone.set_service(service("many", Reach::Headless));
    zone.set_service(service("out", Reach::External("www.example.com".into())));
    let endpoints = (0..250).map(|n| (IpAddr::from([10, 42, 0, n]), None));
    zone.set_slice(Slice {
        namespace: "default".into(),
        name: "many-1".into(),
        service: "many".into(),
        endpoints: endpoints.collect(),
        ports: vec![http()],
    });
    zone.set_synced();
    zone
}

/// A server that runs until this is dropped.
struct Running {
    handle: Handle,
    task: AbortHandle,
}

impl Running {
    fn start(upstreams: &[SocketAddr]) -> Self {
        let mut config = Config::new(vec![localhost()]);
        config.upstreams = upstreams.to_vec();
        let zone = Arc::new(zone());
        let server = Server::bind(&config, zone, Clock::system(), Rng::system()).unwrap();
        let handle = server.handle();
        let task = tokio::spawn(server.run()).abort_handle();
        Self { handle, task }
    }

    fn address(&self) -> SocketAddr {
        self.handle.addresses()[0]
    }

    async fn udp(&self, query: &Message) -> Message {
        let socket = UdpSocket::bind(localhost()).await.unwrap();
        socket.connect(self.address()).await.unwrap();
        socket.send(&query.to_vec().unwrap()).await.unwrap();
        let mut answer = vec![0; 65535];
        let size = socket.recv(&mut answer).await.unwrap();
        Message::from_vec(&answer[..size]).unwrap()
    }

    async fn tcp(&self, query: &Message) -> Message {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let query = query.to_vec().unwrap();
        stream.write_u16(query.len() as u16).await.unwrap();
        stream.write_all(&query).await.unwrap();
        let size = stream.read_u16().await.unwrap();
        let mut answer = vec![0; size.into()];
        stream.read_exact(&mut answer).await.unwrap();
        Message::from_vec(&answer).unwrap()
    }

    fn count(&self, name: &str) -> u64 {
        let samples = self.handle.metrics();
        let of_name = samples.iter().filter(|sample| sample.name == name);
        of_name.map(|sample| sample.value).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.metadata.recursion_desired = true;
    message
}

fn texts(message: &Message) -> Vec<String> {
    message.answers.iter().map(ToString::to_string).collect()
}

/// A resolver that answers each name with one address; names that start with
/// `many` get answers that do not fit a datagram, `gone` is not there, and
/// `silent` gets no answer.
struct Upstream {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: Vec<AbortHandle>,
}

impl Upstream {
    async fn start() -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind(localhost()).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, count_tcp) = (asked.clone(), asked.clone());
        let datagrams = tokio::spawn(async move {
            let mut bytes = vec![0; 4096];
            loop {
                let (size, client) = udp.recv_from(&mut bytes).await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let query = Message::from_vec(&bytes[..size]).unwrap();
                if let Some(answer) = reply(&query, true) {
                    udp.send_to(&answer, client).await.unwrap();
                }
            }
        });
        let connections = tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                count_tcp.fetch_add(1, Ordering::SeqCst);
                let size = stream.read_u16().await.unwrap();
                let mut bytes = vec![0; size.into()];
                stream.read_exact(&mut bytes).await.unwrap();
                let query = Message::from_vec(&bytes).unwrap();
                let answer = reply(&query, false).unwrap();
                stream.write_u16(answer.len() as u16).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        Self {
            address,
            asked,
            tasks: vec![datagrams.abort_handle(), connections.abort_handle()],
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn reply(query: &Message, datagram: bool) -> Option<Vec<u8>> {
    let question = query.queries[0].clone();
    let name = question.name().clone();
    let first = name.iter().next().unwrap_or_default().to_ascii_lowercase();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_query(question);
    let record = |n: u8| {
        let data = RData::A(rdata::A(Ipv4Addr::new(192, 0, 2, n)));
        Record::from_rdata(name.clone(), 300, data)
    };
    match &first[..] {
        b"silent" => return None,
        b"gone" => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            let data = rdata::SOA::new(name.clone(), name.clone(), 1, 2, 3, 4, 20);
            answer.add_authority(Record::from_rdata(name.clone(), 60, RData::SOA(data)));
        }
        b"many" if datagram => answer.metadata.truncation = true,
        b"many" => {
            for n in 0..200 {
                answer.add_answer(record(n));
            }
        }
        _ => {
            answer.add_answer(record(1));
        }
    }
    Some(answer.to_vec().unwrap())
}

#[tokio::test]
async fn names_of_the_cluster() {
    let server = Running::start(&[]);
    let answer = server
        .udp(&query("web.default.svc.cluster.local.", RecordType::A))
        .await;
    assert_eq!(
        texts(&answer),
        ["web.default.svc.cluster.local. 5 IN A 10.43.0.80"]
    );
    assert!(answer.metadata.authoritative && !answer.metadata.recursion_available);
    assert!(answer.edns.is_none(), "nobody asked for extensions");
    let answer = server
        .tcp(&query("no.default.svc.cluster.local.", RecordType::A))
        .await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.authorities.len(), 1);
    assert_eq!(server.count("coredns_dns_requests_total"), 2);
    assert_eq!(server.count("coredns_dns_responses_total"), 2);
}

#[tokio::test]
async fn many_addresses_take_turns_and_are_cut() {
    let server = Running::start(&[]);
    let mut plain = query("many.default.svc.cluster.local.", RecordType::A);
    let answer = server.udp(&plain).await;
    assert!(answer.metadata.truncation);
    assert!((20..32).contains(&answer.answers.len()));
    let again = server.udp(&plain).await;
    assert_ne!(texts(&answer)[0], texts(&again)[0]);
    let answer = server.tcp(&plain).await;
    assert!(!answer.metadata.truncation);
    assert_eq!(answer.answers.len(), 250);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    plain.set_edns(edns);
    let answer = server.udp(&plain).await;
    assert_eq!(answer.answers.len(), 250, "16 bytes each");
    assert!(answer.edns.is_some());
}

#[tokio::test]
async fn what_is_refused() {
    let server = Running::start(&[]);
    let any = server
        .udp(&query("web.default.svc.cluster.local.", RecordType::ANY))
        .await;
    assert_eq!(any.metadata.response_code, ResponseCode::Refused);
    let transfer = server.tcp(&query("cluster.local.", RecordType::AXFR)).await;
    assert_eq!(transfer.metadata.response_code, ResponseCode::Refused);
    let mut update = query("cluster.local.", RecordType::SOA);
    update.metadata.op_code = OpCode::Update;
    let answer = server.udp(&update).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NotImp);
    let mut versioned = query("web.default.svc.cluster.local.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    versioned.set_edns(edns);
    let answer = server.udp(&versioned).await;
    // 16 is BADVERS here, though it has another name elsewhere.
    assert_eq!(u16::from(answer.metadata.response_code), 16);
    let nobody = server.udp(&query("www.example.com.", RecordType::A)).await;
    assert_eq!(nobody.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn other_names_are_asked_of_others_and_remembered() {
    let upstream = Upstream::start().await;
    let server = Running::start(&[upstream.address]);
    for name in ["www.example.com.", "WWW.example.com."] {
        let question = query(name, RecordType::A);
        let answer = server.udp(&question).await;
        assert_eq!(answer.metadata.id, question.metadata.id);
        assert_eq!(texts(&answer), [format!("{name} 30 IN A 192.0.2.1")]);
        assert!(answer.metadata.recursion_available);
    }
    assert_eq!(upstream.asked(), 1);
    for _ in 0..2 {
        let answer = server.udp(&query("gone.example.com.", RecordType::A)).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    }
    assert_eq!(upstream.asked(), 2);
    let answer = server
        .udp(&query("9.9.9.9.in-addr.arpa.", RecordType::PTR))
        .await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(upstream.asked(), 3);
    assert_eq!(server.count("coredns_cache_hits_total"), 2);
}

#[tokio::test]
async fn long_answers_of_others_come_over_connections() {
    let upstream = Upstream::start().await;
    let server = Running::start(&[upstream.address]);
    let question = query("many.example.com.", RecordType::A);
    let answer = server.udp(&question).await;
    assert!(answer.metadata.truncation && answer.answers.is_empty());
    let answer = server.tcp(&question).await;
    assert_eq!(answer.answers.len(), 200);
    let answer = server.udp(&question).await;
    assert!(answer.metadata.truncation && answer.answers.is_empty());
    assert_eq!(
        upstream.asked(),
        2,
        "what is remembered is cut for who asks"
    );
}

#[tokio::test]
async fn a_service_may_stand_for_a_name_outside() {
    let upstream = Upstream::start().await;
    let server = Running::start(&[upstream.address]);
    let question = query("out.default.svc.cluster.local.", RecordType::A);
    for _ in 0..2 {
        let answer = server.udp(&question).await;
        assert_eq!(
            texts(&answer),
            [
                "out.default.svc.cluster.local. 5 IN CNAME www.example.com.",
                "www.example.com. 30 IN A 192.0.2.1"
            ]
        );
    }
    assert_eq!(upstream.asked(), 1);
    server.handle.set_upstreams(&[]);
    let alone = Running::start(&[]);
    let answer = alone.udp(&question).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn a_dead_resolver_is_passed_over() {
    let dead = UdpSocket::bind(localhost()).await.unwrap();
    let address = dead.local_addr().unwrap();
    drop(dead);
    let upstream = Upstream::start().await;
    let server = Running::start(&[address, upstream.address]);
    for n in 0..10 {
        let answer = server
            .udp(&query(&format!("n{n}.example.com."), RecordType::A))
            .await;
        assert_eq!(answer.answers.len(), 1);
    }
    assert_eq!(upstream.asked(), 10);
    assert_eq!(
        server.count("coredns_forward_failures_total"),
        1,
        "and then asked last"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_ends_in_a_failure() {
    let upstream = Upstream::start().await;
    let server = Running::start(&[upstream.address]);
    let answer = server
        .udp(&query("silent.example.com.", RecordType::A))
        .await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(upstream.asked() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_loop_of_servers_ends() {
    let one = Running::start(&[]);
    let two = Running::start(&[one.address()]);
    one.handle.set_upstreams(&[two.address()]);
    let answer = one.udp(&query("www.example.com.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert!(one.count("coredns_dns_requests_total") < 10);
    one.handle.set_upstreams(&[one.address()]);
    let answer = one.udp(&query("a.example.com.", RecordType::A)).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn rubbish_is_survived() {
    let upstream = Upstream::start().await;
    let server = Running::start(&[upstream.address]);
    let rng = Rng::seeded(7);
    let socket = UdpSocket::bind(localhost()).await.unwrap();
    socket.connect(server.address()).await.unwrap();
    let mut good = query(
        "_http._tcp.many.default.svc.cluster.local.",
        RecordType::SRV,
    );
    good.set_edns(Edns::new());
    let good = good.to_vec().unwrap();
    for round in 0..20_000 {
        let mut packet = good.clone();
        match round % 3 {
            0 => {
                packet = vec![0; rng.below(600) as usize];
                rng.fill(&mut packet);
            }
            1 => {
                for _ in 0..1 + rng.below(4) {
                    let at = rng.below(packet.len() as u64) as usize;
                    packet[at] = rng.below(256) as u8;
                }
            }
            _ => packet.truncate(rng.below(packet.len() as u64) as usize),
        }
        // Names outside would be asked of the resolver, which is not tested.
        if packet
            .windows(14)
            .any(|w| w.eq_ignore_ascii_case(b"\x07cluster\x05local"))
        {
            let _ = socket.send(&packet).await;
        }
        if round % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&[0xff; 3000]).await.unwrap();
    drop(stream);
    let answer = server
        .udp(&query("web.default.svc.cluster.local.", RecordType::A))
        .await;
    assert_eq!(answer.answers.len(), 1);
    assert!(
        server.count("coredns_dns_responses_total") > 100,
        "{:?}",
        server.handle.metrics()
    );
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let server = Running::start(&[]);
    let config = Config::new(vec![server.address()]);
    let second = Server::bind(&config, Arc::new(zone()), Clock::system(), Rng::system());
    let error = second.err().unwrap().to_string();
    assert_eq!(error, format!("listen at {} (tcp)", server.address()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dig_is_content() {
    if Command::new("dig").arg("-v").output().is_err() {
        eprintln!("skipped: dig is not installed");
        return;
    }
    let upstream = Upstream::start().await;
    let server = Running::start(&[upstream.address]);
    let port = server.address().port().to_string();
    let dig = |arguments: &[&str]| {
        let output = Command::new("dig")
            .args(["@127.0.0.1", "-p", &port, "+tries=2", "+noidnin"])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let web = "web.default.svc.cluster.local";
    assert_eq!(dig(&["+short", web]), "10.43.0.80\n");
    assert_eq!(dig(&["+short", "+tcp", web]), "10.43.0.80\n");
    assert_eq!(dig(&["+short", "-x", "10.43.0.80"]), format!("{web}.\n"));
    assert_eq!(
        dig(&["+short", "SRV", &format!("_http._tcp.{web}")]),
        format!("0 100 80 {web}.\n")
    );
    assert_eq!(
        dig(&["+short", "TXT", "dns-version.cluster.local"]),
        "\"1.1.0\"\n"
    );
    assert_eq!(
        dig(&["+short", "out.default.svc.cluster.local"]),
        "www.example.com.\n192.0.2.1\n"
    );
    assert_eq!(dig(&["+short", "host.example.com"]), "192.0.2.1\n");
    // It asks again over a connection by itself.
    let many = dig(&["+short", "+bufsize=512", "many.default.svc.cluster.local"]);
    assert_eq!(many.lines().count(), 250);
    let whole = dig(&["+nocookie", "no.default.svc.cluster.local"]);
    assert!(whole.contains("status: NXDOMAIN"), "{whole}");
    assert!(
        whole.contains("flags: qr aa rd; QUERY: 1, ANSWER: 0, AUTHORITY: 1"),
        "{whole}"
    );
    assert!(!whole.contains("WARNING: Message"), "{whole}");
    assert!(
        whole.contains("ns.dns.cluster.local. hostmaster.cluster.local."),
        "{whole}"
    );
}
