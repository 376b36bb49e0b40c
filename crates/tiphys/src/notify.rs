//! Telling the one who started us how it goes, as sd_notify(3) says: a datagram
//! to the socket that it named.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says that the server is ready.
pub fn ready() {
    say("READY=1\nSTATUS=ready");
}

/// Says that the server is on its way out.
pub fn stopping() {
    say("STOPPING=1");
}

fn say(message: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(socket.as_bytes(), message) {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

fn send(socket: &[u8], message: &str) -> io::Result<()> {
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
    };
    let sender = UnixDatagram::unbound()?;
    sender.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_hear() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let name = format!("tiphys-notify-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).expect("an address");
        for (listener, address) in [
            (
                UnixDatagram::bind(&path),
                path.to_string_lossy().into_owned(),
            ),
            (UnixDatagram::bind_addr(&abstract_name), format!("@{name}")),
        ] {
            let listener = listener.expect("a socket");
            send(address.as_bytes(), "READY=1").expect("it is sent");
            let mut heard = [0; 64];
            let length = listener.recv(&mut heard).expect("it is heard");
            assert_eq!(&heard[..length], b"READY=1");
        }
    }
}
