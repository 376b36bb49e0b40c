//! The machine's resolvers, to which names outside the cluster go.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// The port of name servers.
const PORT: u16 = 53;

/// Where systemd's stub resolver listens.
const STUBS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 53), Ipv4Addr::new(127, 0, 0, 54)];

/// A resolver configuration cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read {}", path.display())]
pub struct Error {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The resolvers of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolvers {
    /// Their addresses, in the order in which they stand.
    pub servers: Vec<SocketAddr>,
    /// The file where they stand.
    pub file: PathBuf,
    /// Lines that could not be used.
    pub ignored: Vec<String>,
}

/// Reads /etc/resolv.conf; where that names only systemd's stub, reads the
/// servers behind it. A server at one of `own` addresses would be ourselves
/// and is left out. A file that is not there names nobody.
pub fn resolvers(own: &[IpAddr]) -> Result<Resolvers, Error> {
    let behind = Path::new("/run/systemd/resolve/resolv.conf");
    from_files(Path::new("/etc/resolv.conf"), behind, own)
}

fn from_files(path: &Path, behind_stub: &Path, own: &[IpAddr]) -> Result<Resolvers, Error> {
    let first = read(path, own)?;
    let stub = |server: &SocketAddr| STUBS.iter().any(|stub| server.ip() == *stub);
    if first.servers.is_empty() || !first.servers.iter().all(stub) {
        return Ok(first);
    }
    let second = read(behind_stub, own)?;
    Ok(if second.servers.is_empty() {
        first
    } else {
        second
    })
}

fn read(path: &Path, own: &[IpAddr]) -> Result<Resolvers, Error> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|source| Error {
            path: path.to_owned(),
            source,
        })?,
    };
    let (servers, ignored) = parse(&text, own);
    Ok(Resolvers {
        servers,
        file: path.to_owned(),
        ignored,
    })
}

fn parse(text: &str, own: &[IpAddr]) -> (Vec<SocketAddr>, Vec<String>) {
    let mut servers = Vec::new();
    let mut ignored = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        match address {
            Some(address) if !address.is_unspecified() && !own.contains(&address) => {
                let server = SocketAddr::new(address, PORT);
                if !servers.contains(&server) {
                    servers.push(server);
                }
            }
            _ => ignored.push(line.to_owned()),
        }
    }
    (servers, ignored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = "# a comment\nsearch a b\nnameserver 1.1.1.1\n nameserver\t8.8.8.8 # x\n\
                    nameserver 1.1.1.1\nnameserver fd00::1\nnameserver fe80::1%eth0\n\
                    nameserver 10.43.0.10\nnameserver 0.0.0.0\nnameserver\noptions ndots:5\n";
        let (servers, ignored) = parse(text, &["10.43.0.10".parse().unwrap()]);
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["1.1.1.1:53", "8.8.8.8:53", "[fd00::1]:53"]);
        assert_eq!(ignored.len(), 4);
    }

    #[test]
    fn the_stub_is_seen_through() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("1"), directory.path().join("2"));
        let read = || from_files(&first, &second, &[]).unwrap();
        assert!(read().servers.is_empty());
        fs::write(&first, "nameserver 127.0.0.53\n").unwrap();
        assert_eq!(read().file, first, "nothing is behind it");
        fs::write(&second, "nameserver 9.9.9.9\n").unwrap();
        assert_eq!(read().file, second);
        fs::write(&first, "nameserver 127.0.0.53\nnameserver 1.1.1.1\n").unwrap();
        assert_eq!(read().file, first);
        fs::write(&first, "nameserver 127.0.0.1\n").unwrap();
        assert_eq!(read().servers[0].to_string(), "127.0.0.1:53");
    }
}
