//! Pulling from registries: one of our own that misbehaves as told, and
//! Debian's docker-registry.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

#[path = "registry/fake.rs"]
mod fake;
#[path = "registry/proxied.rs"]
mod proxied;
#[path = "registry/real.rs"]
mod real;
#[path = "registry/trouble.rs"]
mod trouble;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use images::{
    Image, Images, Reference,
    build::{Layer, Pack, Recipe},
    keyring::Credentials,
    registry::{Error, Progress, Proxies, Registries, Remote},
};
use stdx::Clock;
use tempfile::TempDir;

/// A node that pulls.
struct Node {
    directory: TempDir,
    images: Images,
    seen: Arc<Mutex<Vec<Progress>>>,
}

impl Node {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let images = Images::open(directory.path().join("store")).unwrap();
        Self {
            directory,
            images,
            seen: Arc::default(),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    async fn pull(&self, registries: &str, image: &str) -> Result<Image, Error> {
        self.pull_as(registries, image, &[]).await
    }

    async fn pull_as(
        &self,
        registries: &str,
        image: &str,
        credentials: &[Credentials],
    ) -> Result<Image, Error> {
        let direct = Proxies::new("", "", "").unwrap();
        self.pull_through(direct, registries, image, credentials)
            .await
    }

    async fn pull_through(
        &self,
        proxies: Proxies,
        registries: &str,
        image: &str,
        credentials: &[Credentials],
    ) -> Result<Image, Error> {
        let registries = Registries::parse(registries, Path::new("registries.yaml")).unwrap();
        let remote = Remote::through(proxies, registries, Clock::system()).unwrap();
        let reference = Reference::parse(image).unwrap();
        let seen = Arc::clone(&self.seen);
        let report = move |progress| seen.lock().unwrap().push(progress);
        remote
            .bring(&self.images, &reference, credentials, &report)
            .await
            .map(|pulled| pulled.image)
    }

    fn read(&self, image: &Image, file: &str) -> String {
        let layers = self.images.rootfs(image).unwrap();
        let path = layers
            .iter()
            .map(|layer| layer.join(file))
            .find(|path| path.exists());
        std::fs::read_to_string(path.expect("the file")).unwrap()
    }

    fn retries(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        let is_retry = |one: &&Progress| matches!(one, Progress::Retry { .. });
        seen.iter().filter(is_retry).count()
    }
}

/// An image with a small layer, and a large one that does not compress.
fn recipe(name: &str, pack: Pack) -> Recipe {
    let mut number = 7u64;
    let mut noise = || {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (number >> 33) as u8
    };
    let large: Vec<u8> = (0..600_000).map(|_| noise()).collect();
    Recipe::new(name)
        .unwrap()
        .layer(Layer::new().file("hello", 0o644, "hello\n"))
        .layer(Layer::new().file("large", 0o644, large))
        .layer(Layer::new().file("last", 0o644, "last\n"))
        .cmd(&["/hello"])
        .pack(pack)
}

fn user(registry: &str, username: &str, password: &str) -> Credentials {
    Credentials {
        registry: registry.into(),
        username: username.into(),
        password: password.into(),
        token: String::new(),
        source: None,
    }
}
