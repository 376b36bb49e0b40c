//! A registry in this process: it has what it is given, and does what it is
//! told. Speaks just enough HTTP/1.1.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use images::{
    Digest,
    build::{Recipe, write_oci},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What goes wrong with one answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Another status, with a header.
    Status(u16, &'static str),
    /// All bytes of the body are others.
    Wrong,
    /// Range is not understood.
    NoRange,
}

/// How one is let in.
#[derive(Clone, Debug, Default)]
pub enum Door {
    #[default]
    Open,
    /// `user:password`, in base64.
    Basic(&'static str),
    /// A token that this server gives to that user.
    Token(&'static str),
}

#[derive(Default)]
struct State {
    /// By path: media type and content.
    content: BTreeMap<String, (String, Vec<u8>)>,
    /// Faults of the next answers whose path has this in it.
    faults: VecDeque<(String, Fault)>,
    door: Door,
    /// `GET path range`.
    asked: Vec<String>,
}

/// A registry. It ends with the runtime of the test.
pub struct Fake {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), address));
            }
        });
        Self { address, state }
    }

    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }

    pub fn put(&self, path: &str, media_type: &str, content: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        state
            .content
            .insert(path.to_owned(), (media_type.to_owned(), content));
    }

    /// Puts a document below `manifests`, under its digest and a tag.
    pub fn manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        document: &Value,
    ) -> Digest {
        let content = document.to_string().into_bytes();
        let digest = Digest::of(&content);
        for name in [tag, &digest.to_string()] {
            let path = format!("/v2/{repository}/manifests/{name}");
            self.put(&path, media_type, content.clone());
        }
        digest
    }

    /// Puts an image, and answers with its manifest.
    pub fn image(&self, recipe: &Recipe, repository: &str, tag: &str) -> Value {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("oci.tar");
        write_oci(&[recipe], fs::File::create(&archive).unwrap()).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(&archive).arg("-C").arg(directory.path());
        assert!(tar.status().unwrap().success());
        for entry in fs::read_dir(directory.path().join("blobs/sha256")).unwrap() {
            let entry = entry.unwrap();
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            let path = format!("/v2/{repository}/blobs/{digest}");
            self.put(
                &path,
                "application/octet-stream",
                fs::read(entry.path()).unwrap(),
            );
        }
        let index = read(&directory.path().join("index.json"));
        let digest: Digest = index["manifests"][0]["digest"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let manifest = read(&directory.path().join("blobs/sha256").join(digest.hex()));
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        self.manifest(repository, tag, media_type, &manifest);
        manifest
    }

    pub fn fault(&self, path: &str, fault: Fault) {
        self.state
            .lock()
            .unwrap()
            .faults
            .push_back((path.to_owned(), fault));
    }

    pub fn door(&self, door: Door) {
        self.state.lock().unwrap().door = door;
    }

    pub fn asked(&self, part: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .asked
            .iter()
            .filter(|one| one.contains(part))
            .cloned()
            .collect()
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

struct Request {
    method: String,
    path: String,
    range: Option<usize>,
    authorization: String,
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut found = Request {
        method,
        path,
        range: None,
        authorization: String::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let from = value.trim_start_matches("bytes=").trim_end_matches('-');
                found.range = from.parse().ok();
            }
            "authorization" => found.authorization = value.to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(found)
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>, address: SocketAddr) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = request(&mut stream).await {
        let (head, body, is_cut) = answer(&state, &request, address);
        let sent = stream.write_all(head.as_bytes()).await;
        if sent.is_err() || stream.write_all(&body).await.is_err() || is_cut {
            return;
        }
    }
}

/// Head and body, and whether the connection ends with them.
fn answer(state: &Mutex<State>, request: &Request, address: SocketAddr) -> (String, Vec<u8>, bool) {
    let mut state = state.lock().unwrap();
    let range = request
        .range
        .map(|from| format!(" {from}-"))
        .unwrap_or_default();
    state
        .asked
        .push(format!("{} {}{range}", request.method, request.path));
    let path = request.path.split('?').next().unwrap().to_owned();
    if path == "/token" {
        let Door::Token(user) = &state.door else {
            return plain(404, "", "");
        };
        if request.authorization != format!("Basic {user}") {
            return plain(401, "", "");
        }
        return plain(200, "", &json!({"token": "t0k3n"}).to_string());
    }
    let challenge = match &state.door {
        Door::Open => None,
        Door::Basic(user) => (request.authorization != format!("Basic {user}"))
            .then(|| "WWW-Authenticate: Basic realm=\"r\"\r\n".to_owned()),
        Door::Token(_) => (request.authorization != "Bearer t0k3n").then(|| {
            format!("WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"fake\",scope=\"repository:x:pull\"\r\n")
        }),
    };
    if let Some(challenge) = challenge {
        return plain(401, &challenge, "");
    }
    let at = state
        .faults
        .iter()
        .position(|(part, _)| path.contains(part.as_str()));
    let fault = at
        .and_then(|at| state.faults.remove(at))
        .map(|(_, fault)| fault);
    if let Some(Fault::Status(status, header)) = fault {
        return plain(status, header, "");
    }
    let Some((media_type, content)) = state.content.get(&path) else {
        return plain(
            404,
            "",
            "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"none\"}]}",
        );
    };
    let mut content = content.clone();
    let from = request
        .range
        .filter(|_| !matches!(fault, Some(Fault::NoRange)));
    let mut header = format!("Content-Type: {media_type}\r\n");
    let mut status = 200;
    if let Some(from) = from {
        let total = content.len();
        header.push_str(&format!(
            "Content-Range: bytes {from}-{}/{total}\r\n",
            total - 1
        ));
        content.drain(..from);
        status = 206;
    }
    if matches!(fault, Some(Fault::Wrong)) {
        content.iter_mut().for_each(|byte| *byte ^= 1);
    }
    let head = head(status, &header, content.len());
    if let Some(Fault::Cut(after)) = fault {
        content.truncate(after);
        return (head, content, true);
    }
    (head, content, false)
}

fn plain(status: u16, header: &str, body: &str) -> (String, Vec<u8>, bool) {
    (
        head(status, header, body.len()),
        body.as_bytes().to_vec(),
        false,
    )
}

fn head(status: u16, header: &str, length: usize) -> String {
    format!("HTTP/1.1 {status} Status\r\n{header}Content-Length: {length}\r\n\r\n")
}
