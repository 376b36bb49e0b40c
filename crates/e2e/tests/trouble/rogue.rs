//! A registry that does to each repository what the repository's name says.
//! Speaks just enough HTTP/1.1, one request to a connection.

use e2e::Outcome;
use e2e::machine::names_in;
use e2e::seed::Seeded;
use images::Digest;
use images::build::{Layer, busybox_image, write_oci};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// How often a slow repository gives a byte.
const DRIP: Duration = Duration::from_millis(20);
/// How long one that is silent waits for the other side to give up.
const SILENCE: Duration = Duration::from_secs(120);

/// The registry; it ends when dropped.
pub struct Rogue {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// The images by repository.
    images: BTreeMap<String, Stored>,
    /// The repository `mended` works from now on.
    mended: AtomicBool,
    /// Connections of those that are slow or silent.
    open: AtomicUsize,
    stop: AtomicBool,
}

/// An image as a registry has it.
struct Stored {
    blobs: BTreeMap<String, Vec<u8>>,
    manifest: Digest,
}

impl Rogue {
    /// Starts one that has an image in each of some repositories; `folder` is
    /// its own.
    pub fn start(folder: &Path, repositories: &[&str]) -> Rogue {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let images = repositories.iter().map(|repository| {
            let stored = Stored::new(&folder.join(repository), repository);
            (repository.to_string(), stored)
        });
        let shared = Arc::new(Shared {
            images: images.collect(),
            mended: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let own = shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if own.stop.load(Ordering::SeqCst) {
                    return;
                }
                let shared = own.clone();
                // Whoever asks may hang up at any time.
                std::thread::spawn(move || drop(shared.serve(socket)));
            }
        });
        Rogue { address, shared }
    }

    /// The name of the image in a repository.
    pub fn image(&self, repository: &str) -> String {
        format!("{}/{repository}:1", self.address)
    }

    /// The digest of the layer that only this repository has.
    pub fn layer(&self, repository: &str) -> String {
        let stored = &self.shared.images[repository];
        let manifest = &stored.blobs[&stored.manifest.to_string()];
        let manifest: Value = serde_json::from_slice(manifest).expect("a manifest");
        let digest = manifest["layers"][1]["digest"].as_str();
        digest.expect("a layer").to_string()
    }

    /// Lets the repository `mended` work.
    pub fn mend(&self) {
        self.shared.mended.store(true, Ordering::SeqCst);
    }

    /// How many wait for what comes slowly or not at all.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // It looks when somebody comes.
        let _ = TcpStream::connect(self.address);
    }
}

impl Stored {
    /// A busybox, which the node has, and a layer on top that it has not.
    fn new(folder: &Path, repository: &str) -> Stored {
        std::fs::create_dir_all(folder).expect("a folder");
        let archive = folder.join("image.tar");
        let story = Seeded::new(repository.bytes().map(u64::from).sum());
        let story = [repository.as_bytes(), &filler(story)].concat();
        let busybox = busybox_image("app:1", Path::new("/bin/busybox"))
            .expect("Debian's busybox-static")
            .layer(Layer::new().file("story", 0o644, story));
        let file = std::fs::File::create(&archive).expect("an archive");
        write_oci(&[&busybox], file).expect("an archive");
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(&archive).arg("-C").arg(folder);
        let unpacked = Outcome::of(&mut tar);
        assert!(unpacked.is_ok(), "{unpacked:#?}");
        let blobs = names_in(&folder.join("blobs/sha256")).map(|path| {
            let blob = std::fs::read(&path).expect("a blob");
            (Digest::of(&blob).to_string(), blob)
        });
        let blobs = blobs.collect();
        let index = std::fs::read(folder.join("index.json")).expect("an index");
        let index: Value = serde_json::from_slice(&index).expect("an index");
        let manifest = index["manifests"][0]["digest"].as_str().expect("a digest");
        let manifest = manifest.parse().expect("a digest");
        Stored { blobs, manifest }
    }
}

/// Bytes that no packing makes fewer.
fn filler(mut seeded: Seeded) -> Vec<u8> {
    (0..8192)
        .flat_map(|_| seeded.number().to_le_bytes())
        .collect()
}

impl Shared {
    fn serve(&self, mut socket: TcpStream) -> Result<()> {
        socket.set_read_timeout(Some(SILENCE))?;
        let mut first = [0];
        socket.peek(&mut first)?;
        if first == [22] {
            // TLS, to which Go's servers answer so.
            return socket.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        }
        let path = request(&socket)?;
        let words: Vec<&str> = path.split('/').collect();
        let ["", "v2", repository, what, name] = words[..] else {
            return answer(&mut socket, "404 Not Found", "", b"");
        };
        let Some(blob) = self.blob(repository, name) else {
            return answer(&mut socket, "404 Not Found", "", b"");
        };
        match what {
            "manifests" => self.give_manifest(&mut socket, repository, &path, blob),
            _ => self.give_blob(&mut socket, repository, blob),
        }
    }

    /// What a repository has under a digest or its only tag.
    fn blob(&self, repository: &str, name: &str) -> Option<&[u8]> {
        let stored = self.images.get(repository)?;
        let manifest = stored.manifest.to_string();
        let digest = if name == "1" { &manifest } else { name };
        stored.blobs.get(digest).map(Vec::as_slice)
    }

    /// The manifest, or what the repository gives instead.
    fn give_manifest(
        &self,
        socket: &mut TcpStream,
        repository: &str,
        path: &str,
        blob: &[u8],
    ) -> Result<()> {
        let is_broken = repository == "mended" && !self.mended.load(Ordering::SeqCst);
        let json = "application/json";
        match repository {
            "absent" => answer(socket, "404 Not Found", json, UNKNOWN),
            "denied" => answer(socket, "403 Forbidden", json, DENIED),
            "html" => answer(socket, "200 OK", "text/html", b"<html>Sign in!</html>"),
            "garbage" => answer(socket, "200 OK", MANIFEST, &[0xc3, 0x28, 0, 7]),
            "hangup" => Ok(()),
            "silent" => self.wait(socket),
            "endless" => endless(socket),
            "loop" => {
                let head = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {path}\r\n");
                socket.write_all(head.as_bytes())?;
                socket.write_all(b"Connection: close\r\nContent-Length: 0\r\n\r\n")
            }
            "error" => answer(socket, "500 Internal Server Error", "", b""),
            _ if is_broken => answer(socket, "503 Service Unavailable", "", b""),
            _ => answer(socket, "200 OK", MANIFEST, blob),
        }
    }

    /// A layer or a configuration, or what the repository gives instead.
    fn give_blob(&self, socket: &mut TcpStream, repository: &str, blob: &[u8]) -> Result<()> {
        let kind = "application/octet-stream";
        let is_layer = blob.first() != Some(&b'{');
        match repository {
            _ if !is_layer => answer(socket, "200 OK", kind, blob),
            "wrong" => answer(socket, "200 OK", kind, &vec![7; blob.len()]),
            "long" => answer(socket, "200 OK", kind, &[blob, b"more"].concat()),
            "gone" => answer(socket, "404 Not Found", kind, b""),
            "short" => {
                head(socket, "200 OK", kind, blob.len())?;
                socket.write_all(&blob[..blob.len() / 3])
            }
            "slow" => {
                head(socket, "200 OK", kind, blob.len())?;
                self.drip(socket, blob)
            }
            _ => answer(socket, "200 OK", kind, blob),
        }
    }

    fn wait(&self, socket: &mut TcpStream) -> Result<()> {
        self.open.fetch_add(1, Ordering::SeqCst);
        let mut byte = [0];
        let ended = socket.read(&mut byte);
        self.open.fetch_sub(1, Ordering::SeqCst);
        ended.map(|_| ())
    }

    fn drip(&self, socket: &mut TcpStream, blob: &[u8]) -> Result<()> {
        self.open.fetch_add(1, Ordering::SeqCst);
        let dripped = blob.iter().try_for_each(|byte| {
            std::thread::sleep(DRIP);
            match self.stop.load(Ordering::SeqCst) {
                true => Err(ErrorKind::BrokenPipe.into()),
                false => socket.write_all(&[*byte]),
            }
        });
        self.open.fetch_sub(1, Ordering::SeqCst);
        dripped
    }
}

const UNKNOWN: &[u8] = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
const DENIED: &[u8] = br#"{"errors":[{"code":"DENIED","message":"access denied"}]}"#;

/// The path of a request, whose head is read to its end.
fn request(socket: &TcpStream) -> Result<String> {
    let mut lines = BufReader::new(socket).lines();
    let first = lines
        .next()
        .unwrap_or(Err(ErrorKind::UnexpectedEof.into()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    Ok(first.split(' ').nth(1).unwrap_or_default().to_string())
}

fn head(socket: &mut TcpStream, status: &str, kind: &str, length: usize) -> Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes())
}

fn answer(socket: &mut TcpStream, status: &str, kind: &str, body: &[u8]) -> Result<()> {
    head(socket, status, kind, body.len())?;
    socket.write_all(body)
}

/// A manifest without an end.
fn endless(socket: &mut TcpStream) -> Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {MANIFEST}\r\n\r\n");
    socket.write_all(head.as_bytes())?;
    loop {
        socket.write_all(&[b' '; 1 << 16])?;
    }
}
