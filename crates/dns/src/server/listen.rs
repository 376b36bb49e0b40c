//! Sockets of one address.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, UdpSocket};

use super::Error;

/// Attempts to find a port that is free for both protocols.
const ATTEMPTS: usize = 32;

/// The sockets of one address.
pub(super) struct Listeners {
    /// Where they listen.
    pub address: SocketAddr,
    /// Datagrams; the kernel spreads them.
    pub udp: Vec<UdpSocket>,
    /// Connections.
    pub tcp: TcpListener,
}

impl Listeners {
    pub(super) fn bind(address: SocketAddr, sockets: usize) -> Result<Self, Error> {
        let mut attempt = 1;
        loop {
            match Self::bind_once(address, sockets) {
                Err(_) if address.port() == 0 && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// Connections first: several sockets may share a port for datagrams, so
    /// that another server at the same address would not be noticed.
    fn bind_once(address: SocketAddr, sockets: usize) -> Result<Self, Error> {
        let failed = |protocol| {
            move |source| Error::Listen {
                address,
                protocol,
                source,
            }
        };
        let tcp = tcp(address).map_err(failed("tcp"))?;
        let address = tcp.local_addr().map_err(failed("tcp"))?;
        let udp = (0..sockets)
            .map(|_| udp(address))
            .collect::<io::Result<Vec<_>>>()
            .map_err(failed("udp"))?;
        Ok(Self { address, udp, tcp })
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, SocketType::STREAM)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 128)?;
    TcpListener::from_std(StdTcpListener::from(socket))
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, SocketType::DGRAM)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    // A burst should wait rather than be lost; the kernel may allow less.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, 1 << 20);
    rustix::net::bind(&socket, &address)?;
    UdpSocket::from_std(StdUdpSocket::from(socket))
}

fn socket(address: SocketAddr, kind: SocketType) -> io::Result<std::os::fd::OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, kind, flags, None)?)
}
