//! The little world that the cases happen in.

use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use linux::{
    link::{Address, Links, Mac, Neighbour, Route, Scope, Veth},
    netns::Netns,
};
use proxy::{
    Backend, Conditions, Endpoint, EndpointSlice, Facts, Kernel, Owner, Protocol, Service,
    ServicePort, SlicePort, State,
};

pub const NODE_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub const OUTSIDE_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
pub const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 43, 0, 1);
pub const DNS_IP: Ipv4Addr = Ipv4Addr::new(10, 43, 0, 10);
pub const PORT: u16 = 80;
pub const NODE_PORT: u16 = 30080;
const POD_PORT: u16 = 8080;
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a packet that is dropped is waited for.
const SILENCE: Duration = Duration::from_millis(300);

pub struct World {
    pub node: Netns,
    pub outside: Netns,
    pub pods: Vec<Netns>,
    pub state: State,
    pub kernel: Kernel,
    pub stop: Arc<AtomicBool>,
}

/// Who answered a client, and whom they saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub pod: usize,
    pub source: IpAddr,
}

pub fn prepared() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|metadata| {
        use std::os::unix::fs::MetadataExt;
        metadata.uid() == 0
    });
    if !root {
        eprintln!("skipped: packet filters need root");
    }
    root
}

pub fn pod_ip(pod: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 42, 0, 5 + pod as u8)
}

pub fn facts() -> Facts {
    Facts {
        node: "here".into(),
        zone: None,
        ipv6: false,
        cluster_cidrs: vec!["10.42.0.0/16".parse().unwrap()],
        service_cidrs: vec!["10.43.0.0/16".parse().unwrap()],
        exempt: vec![DNS_IP.into()],
        pod_links: Some(("tppod".into(), NODE_IP.into())),
        loopback: false,
    }
}

pub fn owner(name: &str) -> Owner {
    Owner::Service(format!("default/{name}").into())
}

pub fn service(protocol: Protocol) -> Service {
    Service {
        cluster_ips: vec![CLUSTER_IP.into()],
        ports: vec![ServicePort {
            name: "web".into(),
            protocol,
            port: PORT,
            node_port: Some(NODE_PORT),
        }],
        ..Service::default()
    }
}

/// A slice of pods; those beyond the third are said to be on another node.
pub fn slice(protocol: Protocol, pods: &[usize]) -> EndpointSlice {
    let endpoint = |pod: &usize| Endpoint {
        addresses: vec![pod_ip(*pod % 10).into()],
        node: Some(if *pod < 10 { "here" } else { "there" }.into()),
        conditions: Conditions::READY,
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
    };
    EndpointSlice {
        ports: vec![SlicePort {
            name: "web".into(),
            protocol,
            port: POD_PORT,
        }],
        endpoints: pods.iter().map(endpoint).collect(),
    }
}

impl World {
    pub fn new() -> Self {
        let node = Netns::create().unwrap();
        let outside = Netns::create().unwrap();
        let pods: Vec<Netns> = (0..3).map(|_| Netns::create().unwrap()).collect();
        node.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1"))
            .unwrap()
            .unwrap();
        join(&node, &outside, "tpout", NODE_IP, OUTSIDE_IP, 24);
        for (number, pod) in pods.iter().enumerate() {
            join(
                &node,
                pod,
                &format!("tppod{number}"),
                Ipv4Addr::new(169, 254, 1, 1),
                pod_ip(number),
                32,
            );
        }
        let stop = Arc::new(AtomicBool::new(false));
        for (number, pod) in pods.iter().enumerate() {
            serve(number, pod, &stop);
        }
        let kernel = Kernel::open("test", &facts(), &node).unwrap();
        let mut world = Self {
            node,
            outside,
            pods,
            state: State::new(facts()),
            kernel,
            stop,
        };
        world.kernel.replace(&world.state.ruleset()).unwrap();
        world
    }

    /// Says what a Service is, and applies it.
    pub fn set(&mut self, name: &str, service: &Service, slices: &[EndpointSlice]) {
        self.state.set_service(owner(name), service, slices);
        self.apply();
    }

    pub fn apply(&mut self) {
        let changes = self.state.changes();
        self.kernel.apply(&changes).unwrap();
        self.kernel.forget(&changes.udp).unwrap();
    }

    pub fn nft(&self, arguments: &[&str]) -> String {
        let output = self
            .node
            .run(|| Command::new("nft").args(arguments).output())
            .unwrap()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Asks over TCP, from a namespace.
pub fn ask(from: &Netns, to: Ipv4Addr, port: u16) -> io::Result<Answer> {
    ask_within(from, to, port, PATIENCE)
}

/// The same with less patience.
pub fn ask_briefly(from: &Netns, to: Ipv4Addr, port: u16) -> io::Result<Answer> {
    ask_within(from, to, port, SILENCE)
}

/// Whether a TCP connection gets no answer at all.
pub fn is_silent(from: &Netns, to: Ipv4Addr, port: u16) -> bool {
    match ask_within(from, to, port, SILENCE) {
        Err(error) => error.kind() == ErrorKind::TimedOut,
        Ok(_) => false,
    }
}

/// Whether a TCP connection is refused at once.
pub fn is_refused(from: &Netns, to: Ipv4Addr, port: u16) -> bool {
    match ask(from, to, port) {
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        Ok(_) => false,
    }
}

/// A UDP client that keeps its port.
pub fn client(from: &Netns, to: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = from.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    socket.connect((to, port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Asks over UDP.
pub fn ask_udp(client: &UdpSocket) -> io::Result<Answer> {
    let mut buffer = [0; 64];
    client.send(b"who")?;
    let length = client.recv(&mut buffer)?;
    Ok(parse(&buffer[..length]))
}

fn ask_within(from: &Netns, to: Ipv4Addr, port: u16, patience: Duration) -> io::Result<Answer> {
    let address = SocketAddr::from((to, port));
    from.run(|| {
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        Ok(parse(&text))
    })
    .unwrap()
}

fn parse(text: &[u8]) -> Answer {
    let text = std::str::from_utf8(text).unwrap();
    let (pod, source) = text.split_once(' ').expect("pod and source");
    Answer {
        pod: pod.parse().unwrap(),
        source: source.parse().unwrap(),
    }
}

/// Two namespaces joined by a pair of links; with prefix 32, as a pod is.
fn join(node: &Netns, other: &Netns, name: &str, here: Ipv4Addr, there: Ipv4Addr, prefix: u8) {
    let (near, far) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let mut links = node.run(Links::open).unwrap().unwrap();
    let mut inner = other.run(Links::open).unwrap().unwrap();
    links
        .add_veth(&Veth {
            name,
            mac: near,
            peer_name: "eth0",
            peer_mac: far,
            peer_netns: other,
            mtu: 1500,
        })
        .unwrap();
    for links in [&mut links, &mut inner] {
        let lo = links.link("lo").unwrap().unwrap();
        links.set_up(lo.index).unwrap();
    }
    let outer_link = links.link(name).unwrap().unwrap().index;
    let inner_link = inner.link("eth0").unwrap().unwrap().index;
    inner.set_up(inner_link).unwrap();
    let address = |link, address: Ipv4Addr| Address {
        link,
        address: address.into(),
        prefix,
        scope: Scope::UNIVERSE,
        label: None,
    };
    let route = |link,
                 destination: Ipv4Addr,
                 prefix,
                 gateway: Option<Ipv4Addr>,
                 source: Option<Ipv4Addr>| Route {
        destination: destination.into(),
        prefix,
        link,
        gateway: gateway.map(IpAddr::from),
        source: source.map(IpAddr::from),
        metric: 0,
        scope: if gateway.is_some() {
            Scope::UNIVERSE
        } else {
            Scope::LINK
        },
        onlink: false,
    };
    inner.add_address(&address(inner_link, there)).unwrap();
    if prefix == 32 {
        links
            .replace_route(&route(outer_link, there, 32, None, Some(NODE_IP)))
            .unwrap();
        inner
            .replace_route(&route(inner_link, here, 32, None, None))
            .unwrap();
    } else {
        links.add_address(&address(outer_link, here)).unwrap();
        // The node needs a way to the Services' addresses to begin with.
        let default = route(outer_link, Ipv4Addr::UNSPECIFIED, 0, Some(there), None);
        links.replace_route(&default).unwrap();
    }
    let default = route(inner_link, Ipv4Addr::UNSPECIFIED, 0, Some(here), None);
    inner.replace_route(&default).unwrap();
    for (links, link, address, mac) in [
        (&mut links, outer_link, there, far),
        (&mut inner, inner_link, here, near),
    ] {
        let address = address.into();
        links
            .replace_neighbour(&Neighbour { link, address, mac })
            .unwrap();
    }
}

/// Answers in a pod, over TCP and UDP, with its number and whom it sees.
pub fn serve(number: usize, pod: &Netns, stop: &Arc<AtomicBool>) {
    let (tcp, udp) = pod
        .run(|| {
            let address = ("0.0.0.0", POD_PORT);
            (
                TcpListener::bind(address).unwrap(),
                UdpSocket::bind(address).unwrap(),
            )
        })
        .unwrap();
    let stopped = stop.clone();
    tcp.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            match tcp.accept() {
                Ok((mut stream, from)) => {
                    let _ = write!(stream, "{number} {}", from.ip());
                }
                Err(_) => thread::sleep(Duration::from_micros(200)),
            }
        }
    });
    let stopped = stop.clone();
    udp.set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while !stopped.load(Ordering::Relaxed) {
            if let Ok((_, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(format!("{number} {}", from.ip()).as_bytes(), from);
            }
        }
    });
}

/// Whether a path is there; for skipping.
pub fn has_program(name: &str) -> bool {
    let found = ["/usr/sbin", "/usr/bin", "/sbin"]
        .iter()
        .any(|dir| Path::new(dir).join(name).exists());
    if !found {
        eprintln!("skipped: {name} is not installed");
    }
    found
}
