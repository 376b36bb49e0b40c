//! Who has which address: a directory with a file per address that names its
//! pod.
//!
//! A file is made exclusively and in one write, so a record is there or not,
//! whenever we are killed. It is not forced to the disk: if the machine loses
//! power, the pods are gone too.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use linux::cidr::Cidr;

use crate::error::Error;

/// The addresses of a node's range.
#[derive(Debug)]
pub(crate) struct Addresses {
    dir: PathBuf,
    range: Cidr,
    first: u32,
    last: u32,
    by_address: BTreeMap<Ipv4Addr, String>,
    by_pod: BTreeMap<String, Ipv4Addr>,
    /// The last one given: the next search begins behind it, so that an
    /// address rests before it is used again.
    cursor: u32,
}

impl Addresses {
    /// Reads the record. Files that name no pod, or no address of the range,
    /// are leftovers and removed.
    pub(crate) fn open(dir: PathBuf, range: Cidr) -> Result<Self, Error> {
        let (first, last) = usable(range)?;
        fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
        let mut addresses = Self {
            dir,
            range,
            first,
            last,
            by_address: BTreeMap::new(),
            by_pod: BTreeMap::new(),
            cursor: last,
        };
        addresses.load()?;
        Ok(addresses)
    }

    /// The address of a pod, given now unless it has one.
    pub(crate) fn give(&mut self, pod: &str) -> Result<Ipv4Addr, Error> {
        if let Some(address) = self.of(pod) {
            return Ok(address);
        }
        let address = self.free().ok_or_else(|| Error::Full {
            range: self.range.to_string(),
        })?;
        self.write(address, pod)?;
        self.cursor = u32::from(address);
        self.note(address, pod.into());
        Ok(address)
    }

    /// Takes a pod's address back.
    pub(crate) fn take_back(&mut self, pod: &str) -> Result<Option<Ipv4Addr>, Error> {
        let Some(address) = self.of(pod) else {
            return Ok(None);
        };
        self.unlink(&self.path(address))?;
        self.by_pod.remove(pod);
        self.by_address.remove(&address);
        Ok(Some(address))
    }

    /// The address of a pod, if it has one.
    pub(crate) fn of(&self, pod: &str) -> Option<Ipv4Addr> {
        self.by_pod.get(pod).copied()
    }

    /// All pods with addresses.
    pub(crate) fn pods(&self) -> Vec<String> {
        self.by_pod.keys().cloned().collect()
    }

    fn load(&mut self) -> Result<(), Error> {
        let entries = fs::read_dir(&self.dir).map_err(failed("list", &self.dir))?;
        for entry in entries {
            let path = entry.map_err(failed("list", &self.dir))?.path();
            let pod = fs::read_to_string(&path).map_err(failed("read", &path))?;
            let name = path.file_name().and_then(|name| name.to_str());
            let address = name.and_then(|name| name.parse::<Ipv4Addr>().ok());
            match address.filter(|address| self.is_usable(*address)) {
                Some(address) if !pod.is_empty() && !self.by_pod.contains_key(&pod) => {
                    self.note(address, pod);
                }
                _ => self.unlink(&path)?,
            }
        }
        Ok(())
    }

    fn note(&mut self, address: Ipv4Addr, pod: String) {
        self.by_pod.insert(pod.clone(), address);
        self.by_address.insert(address, pod);
    }

    fn is_usable(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&u32::from(address))
    }

    fn free(&self) -> Option<Ipv4Addr> {
        let after = self.cursor.saturating_add(1)..=self.last;
        let before = self.first..=self.cursor.min(self.last);
        after
            .chain(before)
            .map(Ipv4Addr::from)
            .find(|address| !self.by_address.contains_key(address))
    }

    fn write(&self, address: Ipv4Addr, pod: &str) -> Result<(), Error> {
        let path = self.path(address);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = file.map_err(failed("make", &path))?;
        file.write_all(pod.as_bytes()).map_err(|source| {
            // What could not be written must not look like a record.
            let _ = fs::remove_file(&path);
            failed("write", &path)(source)
        })
    }

    fn unlink(&self, path: &Path) -> Result<(), Error> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, address: Ipv4Addr) -> PathBuf {
        self.dir.join(address.to_string())
    }
}

/// The first and last address that pods may have. The first two of the range
/// are kept: one is the range's name and the node's address towards other
/// nodes, one is where people expect a gateway. The last is a broadcast.
fn usable(range: Cidr) -> Result<(u32, u32), Error> {
    let refuse = |why| Error::Range {
        range: range.to_string(),
        why,
    };
    let (IpAddr::V4(first), IpAddr::V4(last)) = (range.address, range.last()) else {
        return Err(refuse("only IPv4 is supported"));
    };
    if range.bits > 29 {
        return Err(refuse("it has fewer than eight addresses"));
    }
    Ok((u32::from(first) + 2, u32::from(last) - 1))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Record { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, range: &str) -> Addresses {
        Addresses::open(dir.into(), range.parse().unwrap()).unwrap()
    }

    #[test]
    fn every_pod_has_one_and_keeps_it_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut addresses = open(dir.path(), "10.42.0.0/24");
        let a = addresses.give("a").unwrap();
        let b = addresses.give("b").unwrap();
        assert_eq!(
            (a.to_string(), b.to_string()),
            ("10.42.0.2".into(), "10.42.0.3".into())
        );
        assert_eq!(addresses.give("a").unwrap(), a);
        let mut again = open(dir.path(), "10.42.0.0/24");
        assert_eq!(again.pods(), ["a", "b"]);
        assert_eq!(again.give("b").unwrap(), b);
        assert_eq!(again.take_back("a").unwrap(), Some(a));
        assert_eq!(again.take_back("a").unwrap(), None);
        assert_eq!(open(dir.path(), "10.42.0.0/24").pods(), ["b"]);
    }

    #[test]
    fn an_address_rests_and_a_full_range_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let mut addresses = open(dir.path(), "10.42.0.0/29");
        let first = addresses.give("0").unwrap();
        addresses.take_back("0").unwrap();
        for pod in 1..=5 {
            let next = addresses.give(&pod.to_string()).unwrap();
            assert_eq!(next == first, pod == 5, "it comes last");
        }
        let error = addresses.give("6").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no address is left in the node's range 10.42.0.0/29"
        );
    }

    #[test]
    fn leftovers_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("10.42.0.9", ""), ("10.99.0.1", "x"), ("junk", "y")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(open(dir.path(), "10.42.0.0/24").pods(), [""; 0]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn ranges_that_cannot_be_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for range in ["fd00::/64", "10.0.0.0/30"] {
            let result = Addresses::open(dir.path().into(), range.parse().unwrap());
            assert!(result.is_err(), "{range}");
        }
    }
}
