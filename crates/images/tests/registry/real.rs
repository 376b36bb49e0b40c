//! Debian's docker-registry, filled by skopeo.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use images::{
    build::{Pack, write_oci},
    keyring,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{Node, recipe, user};

/// `user` with the password `secret`.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A docker-registry, which ends with this.
pub struct Registry {
    child: Child,
    pub address: String,
    pub directory: PathBuf,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// None, with a word why, where the programs are absent.
    pub fn start(directory: &Path, tls: bool) -> Option<Self> {
        for program in ["/usr/bin/docker-registry", "/usr/bin/skopeo"] {
            if !Path::new(program).exists() {
                eprintln!("skipped: {program} is absent");
                return None;
            }
        }
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let directory = directory.join("registry");
        fs::create_dir_all(&directory).unwrap();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\nhttp:\n  addr: {address}\n",
            directory.join("data").display()
        );
        if tls {
            certificates(&directory);
            fs::write(directory.join("htpasswd"), HTPASSWD).unwrap();
            let at = directory.display();
            config.push_str(&format!(
                "  tls: {{certificate: '{at}/server.pem', key: '{at}/server.key'}}\nauth: {{htpasswd: {{realm: r, path: '{at}/htpasswd'}}}}\n"
            ));
        }
        let path = directory.join("config.yml");
        fs::write(&path, config).unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let child = Command::new("/usr/bin/docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Self {
            child,
            address,
            directory,
        };
        registry.wait();
        Some(registry)
    }

    /// Until it listens, or has ended.
    fn wait(&mut self) {
        let address = self.address.parse().unwrap();
        let step = std::time::Duration::from_millis(50);
        for _ in 0..400 {
            if std::net::TcpStream::connect_timeout(&address, step).is_ok() {
                return;
            }
            let log = fs::read_to_string(self.directory.join("log")).unwrap();
            assert!(self.child.try_wait().unwrap().is_none(), "{log}");
            std::thread::sleep(step);
        }
        panic!("the registry does not listen");
    }

    pub fn push(&self, archive: &Path, name: &str, more: &[&str]) {
        let mut skopeo = Command::new("/usr/bin/skopeo");
        skopeo.args(["--insecure-policy", "copy", "--dest-tls-verify=false"]);
        skopeo
            .args(more)
            .arg(format!("oci-archive:{}", archive.display()));
        skopeo.arg(format!("docker://{}/{name}", self.address));
        let output = skopeo.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// An authority, and a server's certificate of it.
fn certificates(directory: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::from_params(&authority, &authority_key);
    let key = KeyPair::generate().unwrap();
    let names = ["127.0.0.1", "localhost", "registry.test"].map(str::to_owned);
    let server = CertificateParams::new(names.to_vec()).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    fs::write(directory.join("ca.pem"), ca.pem()).unwrap();
    fs::write(directory.join("server.pem"), server.pem()).unwrap();
    fs::write(directory.join("server.key"), key.serialize_pem()).unwrap();
}

pub fn archive(node: &Node, pack: Pack) -> PathBuf {
    let path = node.path().join("app.tar");
    write_oci(&[&recipe("app:1", pack)], File::create(&path).unwrap()).unwrap();
    path
}

#[tokio::test]
async fn plain_http() {
    let node = Node::new();
    let Some(registry) = Registry::start(node.path(), false) else {
        return;
    };
    let archive = archive(&node, Pack::Gzip);
    registry.push(&archive, "team/app:1", &[]);
    registry.push(&archive, "team/app:docker", &["--format", "v2s2"]);
    registry.push(
        &archive,
        "team/app:zstd",
        &["--dest-compress-format", "zstd"],
    );
    for tag in ["1", "docker", "zstd"] {
        let name = format!("{}/team/app:{tag}", registry.address);
        let image = node.pull("", &name).await.unwrap();
        assert_eq!(node.read(&image, "hello"), "hello\n", "{tag}");
        node.images.remove(&image.id.to_string()).unwrap();
    }
    let error = node
        .pull("", &format!("{}/team/app:none", registry.address))
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("/team/app:none: not found"),
        "{error}"
    );
}

#[tokio::test]
async fn tls_and_passwords() {
    let node = Node::new();
    let Some(registry) = Registry::start(node.path(), true) else {
        return;
    };
    registry.push(
        &archive(&node, Pack::Gzip),
        "app:1",
        &["--dest-creds", "user:secret"],
    );
    let address = &registry.address;
    let name = format!("{address}/app:1");
    let secret = [user(address, "user", "secret")];
    let error = node.pull_as("", &name, &secret).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("tls: invalid peer certificate: UnknownIssuer"),
        "{error}"
    );
    let at = registry.directory.display();
    let trusting = format!("configs: {{'{address}': {{tls: {{ca_file: '{at}/ca.pem'}}}}}}");
    let error = node.pull(&trusting, &name).await.unwrap_err();
    assert!(error.to_string().contains("401 Unauthorized"), "{error}");
    node.pull_as(&trusting, &name, &secret).await.unwrap();
    let careless = format!(
        "configs: {{'{address}': {{tls: {{insecure_skip_verify: true}}, auth: {{auth: dXNlcjpzZWNyZXQ=}}}}}}"
    );
    let node = Node::new();
    node.pull(&careless, &name).await.unwrap();
    // What `docker login` would have written.
    let config = format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"dXNlcjpzZWNyZXQ=\"}}}}}}");
    let read = keyring::parse(config.as_bytes()).unwrap();
    node.pull_as(&trusting, &name, &read).await.unwrap();
}

#[tokio::test]
async fn what_is_pushed_can_be_pulled() {
    use images::{
        ImportOptions, Reference,
        registry::{Registries, Remote},
    };
    let node = Node::new();
    let Some(registry) = Registry::start(node.path(), true) else {
        return;
    };
    let address = &registry.address;
    let imported = node
        .images
        .import(&archive(&node, Pack::Zstd), &ImportOptions::default());
    let image = node
        .images
        .image(&imported.unwrap()[0].id)
        .unwrap()
        .unwrap();
    let at = registry.directory.display();
    let trusting = format!("configs: {{'{address}': {{tls: {{ca_file: '{at}/ca.pem'}}}}}}");
    let registries = Registries::parse(&trusting, Path::new("r.yaml")).unwrap();
    let remote = Remote::new(registries, stdx::Clock::system()).unwrap();
    let name = format!("{address}/pushed/app:2");
    let target = Reference::parse(&name).unwrap();
    let push = |users: Vec<_>| {
        let (remote, image, target, images) = (&remote, &image, &target, &node.images);
        async move { remote.push(images, image, target, &users, &|_| {}).await }
    };
    let error = push(Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    let secret = user(address, "user", "secret");
    let digest = push(vec![secret.clone()]).await.unwrap();
    // Again, when all is there.
    assert_eq!(push(vec![secret.clone()]).await.unwrap(), digest);
    let other = Node::new();
    let pulled = other.pull_as(&trusting, &name, &[secret]).await.unwrap();
    assert_eq!(pulled.id, image.id);
    assert_eq!(pulled.repo_digests, [target.at(digest).to_string()]);
    assert_eq!(other.read(&pulled, "hello"), "hello\n");
}
