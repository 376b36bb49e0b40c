//! The store as its users see it: archives in, images out.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
};

use images::{
    Digest, Error, Images, ImportOptions, Reference, archive,
    build::{Layer, Pack, Recipe, write_docker, write_oci},
    document::Platform,
};
use tempfile::TempDir;

struct Place {
    directory: TempDir,
    images: Images,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let images = Images::open(directory.path().join("store")).unwrap();
        Self { directory, images }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn oci(&self, recipes: &[&Recipe]) -> PathBuf {
        let path = self.path("oci.tar");
        write_oci(recipes, File::create(&path).unwrap()).unwrap();
        path
    }

    fn docker(&self, recipes: &[&Recipe]) -> PathBuf {
        let path = self.path("docker.tar");
        write_docker(recipes, File::create(&path).unwrap()).unwrap();
        path
    }

    fn import(&self, path: &Path) -> Result<Vec<Digest>, Error> {
        let imported = self.images.import(path, &ImportOptions::default())?;
        Ok(imported.into_iter().map(|image| image.id).collect())
    }

    fn layers(&self) -> usize {
        count(&self.path("store/layers"))
    }

    fn blobs(&self) -> usize {
        count(&self.path("store/blobs/sha256"))
    }

    fn read(&self, image: &str, file: &str) -> String {
        let image = self.images.find(image).unwrap();
        let layers = self.images.rootfs(&image).unwrap();
        let mut there = layers.iter().map(|layer| layer.join(file));
        let path = there.find(|path| path.exists()).unwrap();
        fs::read_to_string(path).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        assert_eq!(count(&self.path("store/ingest")), 0, "work was left behind");
    }
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn base() -> Layer {
    Layer::new()
        .file("base", 0o644, "base")
        .directory("tmp", 0o1777)
}

fn app(name: &str, content: &str) -> Recipe {
    let top = Layer::new().file("app", 0o755, content);
    let recipe = Recipe::new(name).unwrap().layer(base()).layer(top);
    recipe.entrypoint(&["/app"]).user("1000:1000")
}

#[test]
fn both_kinds_and_all_packings() {
    for pack in [Pack::Plain, Pack::Gzip, Pack::Zstd] {
        let place = Place::new();
        let recipe = app("team/app:v1", "one").pack(pack);
        let a = place.import(&place.oci(&[&recipe])).unwrap();
        let b = place.import(&place.docker(&[&recipe])).unwrap();
        assert_eq!(a, b, "the ID is that of the configuration");
        assert_eq!(place.layers(), 2);
        assert_eq!(place.read("team/app:v1", "app"), "one");
        assert_eq!(place.read("team/app:v1", "base"), "base");
    }
}

#[test]
fn archives_may_be_compressed_or_streams() {
    let place = Place::new();
    let plain = fs::read(place.oci(&[&app("a", "x")])).unwrap();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    fs::write(place.path("a.tar.zst"), &zstd).unwrap();
    place.import(&place.path("a.tar.zst")).unwrap();
    let options = ImportOptions::default();
    for bytes in [&plain[..], &zstd[..]] {
        let mut stream = bytes;
        let imported = place.images.import_stream(&mut stream, &options).unwrap();
        assert_eq!(
            imported[0].references[0].to_string(),
            "docker.io/library/a:latest"
        );
    }
}

#[test]
fn status() {
    let place = Place::new();
    let recipe = Recipe::new("shop:v2")
        .unwrap()
        .layer(base())
        .entrypoint(&["/bin/shop", "serve"])
        .cmd(&["--port", "80"])
        .env(&["A=1", "B=2"])
        .user("web:www")
        .working_dir("/srv")
        .volumes(&["/data"])
        .expose(&["80/tcp", "53/udp"])
        .stop_signal("SIGINT");
    let id = place.import(&place.oci(&[&recipe])).unwrap()[0];
    let image = place.images.resolve("shop:v2").unwrap().unwrap();
    assert_eq!(image.id, id);
    assert_eq!(image.repo_tags, ["docker.io/library/shop:v2"]);
    assert_eq!(image.repo_digests.len(), 1);
    assert!(image.repo_digests[0].starts_with("docker.io/library/shop@sha256:"));
    assert_eq!(image.image_ref(), image.repo_digests[0]);
    let by_digest = place.images.resolve(&image.repo_digests[0]).unwrap();
    assert_eq!(by_digest.as_ref(), Some(&image));
    assert_eq!(
        place.images.resolve(&id.to_string()).unwrap(),
        Some(image.clone())
    );
    assert_eq!(
        place.images.resolve(&id.hex()).unwrap(),
        Some(image.clone())
    );
    assert_eq!(place.images.find(&id.hex()[..12]).unwrap(), image);
    assert_eq!(place.images.resolve("shop").unwrap(), None);
    let settings = &image.settings;
    assert_eq!(settings.entrypoint, ["/bin/shop", "serve"]);
    assert_eq!(settings.cmd, ["--port", "80"]);
    assert_eq!(settings.env, ["A=1", "B=2"]);
    assert_eq!(settings.user, "web:www");
    assert_eq!(settings.working_dir, "/srv");
    assert_eq!(settings.volumes, ["/data"]);
    assert_eq!(settings.exposed_ports, ["53/udp", "80/tcp"]);
    assert_eq!(settings.stop_signal, "SIGINT");
    assert!(image.size > 4);

    let again = Images::open(place.path("store")).unwrap();
    assert_eq!(
        again.list().unwrap(),
        [image],
        "another process sees the same"
    );
}

#[test]
fn layers_are_shared_and_go_with_the_last_user() {
    let place = Place::new();
    let (one, two) = (app("one", "1"), app("two", "2"));
    place.import(&place.oci(&[&one, &two])).unwrap();
    assert_eq!(place.layers(), 3);
    assert_eq!(place.images.list().unwrap().len(), 2);
    let usage = place.images.usage().unwrap();
    assert!(usage.used_bytes >= 6 && usage.capacity_bytes > 0);

    let removed = place.images.remove("one").unwrap();
    assert_eq!(
        removed.untagged[0].to_string(),
        "docker.io/library/one:latest"
    );
    assert!(removed.deleted.is_some());
    assert_eq!(removed.collected.layers, 1);
    assert_eq!(place.layers(), 2);
    assert_eq!(place.read("two", "base"), "base");

    let id = place.images.find("two").unwrap().id;
    place.images.remove(&id.hex()[..6]).unwrap();
    assert_eq!((place.layers(), place.blobs()), (0, 0));
    assert!(matches!(
        place.images.remove("two"),
        Err(Error::NotFound(_))
    ));
}

#[test]
fn names_move() {
    let place = Place::new();
    place.import(&place.docker(&[&app("app", "old")])).unwrap();
    let kept = Reference::parse("kept").unwrap();
    place.images.tag("app", &kept).unwrap();
    place.import(&place.docker(&[&app("app", "new")])).unwrap();
    assert_eq!(place.read("app", "app"), "new");
    assert_eq!(place.read("kept", "app"), "old");
    place
        .import(&place.docker(&[&app("kept", "newer")]))
        .unwrap();
    place.images.collect().unwrap();
    assert_eq!(
        place.images.list().unwrap().len(),
        2,
        "the old image has no name left"
    );
    assert_eq!(place.layers(), 3);

    place.images.tag("app", &kept).unwrap();
    let removed = place.images.remove("app").unwrap();
    assert_eq!(removed.deleted, None);
    assert_eq!(place.read("kept", "app"), "new");
}

#[test]
fn held_layers_stay() {
    let place = Place::new();
    let id = place.import(&place.oci(&[&app("app", "x")])).unwrap()[0];
    let layers = place.images.hold("container-1", &id).unwrap();
    assert_eq!(
        layers,
        place
            .images
            .rootfs(&place.images.find("app").unwrap())
            .unwrap()
    );
    assert!(layers[0].join("app").is_file(), "topmost first");
    place.images.remove("app").unwrap();
    let again = Images::open(place.path("store")).unwrap();
    assert!(layers.iter().all(|layer| layer.is_dir()));
    assert_eq!(again.holders().unwrap(), [("container-1".to_owned(), id)]);
    again.release("container-1").unwrap();
    again.release("container-1").unwrap();
    assert_eq!(again.collect().unwrap().layers, 2);
    assert_eq!(place.layers(), 0);
    for bad in ["", "..", "a/b", ".x"] {
        assert!(matches!(again.release(bad), Err(Error::Holder(_))), "{bad}");
    }
}

#[test]
fn pins_survive() {
    let place = Place::new();
    let archive = place.oci(&[&app("app", "x")]);
    place.import(&archive).unwrap();
    place.images.pin("app", true).unwrap();
    place.import(&archive).unwrap();
    assert!(place.images.find("app").unwrap().pinned);
    place.images.pin("app", false).unwrap();
    assert!(!place.images.find("app").unwrap().pinned);
}

#[test]
fn the_right_platform_is_picked() {
    let place = Place::new();
    let foreign = Platform {
        architecture: "s390x".into(),
        os: "linux".into(),
        variant: String::new(),
    };
    let other = app("app", "theirs").platform(foreign.clone());
    place
        .import(&place.oci(&[&other, &app("app", "ours")]))
        .unwrap();
    assert_eq!(place.read("app", "app"), "ours");

    let error = place.import(&place.oci(&[&other])).unwrap_err();
    let here = Platform::here();
    assert_eq!(
        error.to_string(),
        format!("the archive has no image for {here}, only for: linux/s390x")
    );
    let error = place.import(&place.docker(&[&other])).unwrap_err();
    assert!(matches!(error, Error::Platform { .. }), "{error}");
}

#[test]
fn names_can_be_given() {
    let place = Place::new();
    let recipe = Recipe::unnamed().layer(base());
    let path = place.oci(&[&recipe]);
    let id = place.import(&path).unwrap()[0];
    assert!(
        place
            .images
            .image(&id)
            .unwrap()
            .unwrap()
            .repo_tags
            .is_empty()
    );
    let options = ImportOptions {
        name: Some(Reference::parse("mine:1").unwrap()),
        ..ImportOptions::default()
    };
    place.images.import(&path, &options).unwrap();
    assert_eq!(place.images.find("mine:1").unwrap().id, id);
    let two = place.oci(&[&app("a", "1"), &app("b", "2")]);
    let error = place.images.import(&two, &options).unwrap_err();
    assert!(matches!(error, Error::NameForMany(2)), "{error}");
}

#[test]
fn ambiguous_prefixes_are_refused() {
    let place = Place::new();
    let recipes: Vec<Recipe> = (0..17)
        .map(|n| app(&format!("a{n}"), "x").env(&[&format!("N={n}")]))
        .collect();
    place
        .import(&place.oci(&recipes.iter().collect::<Vec<_>>()))
        .unwrap();
    let first = |id: &Digest| id.hex()[..1].to_owned();
    let ids: Vec<Digest> = place.images.list().unwrap().iter().map(|i| i.id).collect();
    let shared = ids.iter().map(first).collect::<BTreeSet<_>>();
    let shared = shared
        .iter()
        .find(|c| ids.iter().filter(|id| first(id) == **c).count() > 1);
    let error = place.images.remove(shared.unwrap()).unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
    assert_eq!(place.images.list().unwrap().len(), 17);
    assert_eq!(place.layers(), 2);
}

/// Replaces bytes in an archive without touching tar's own fields.
fn corrupt(path: &Path, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(path).unwrap();
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    fs::write(path, bytes).unwrap();
}

#[test]
fn content_must_be_what_its_digest_says() {
    let place = Place::new();
    let path = place.oci(&[&app("app", "genuine")]);
    corrupt(&path, b"genuine", b"altered");
    let error = place.import(&path).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    let path = place.docker(&[&app("app", "genuine")]);
    corrupt(&path, b"genuine", b"altered");
    let error = place.import(&path).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
    let path = place.oci(&[&app("app", "genuine")]);
    corrupt(&path, b"1000:1000", b"0000:0000");
    let error = place.import(&path).unwrap_err();
    let digest = matches!(error, Error::Archive(archive::Error::Digest { .. }));
    assert!(digest, "{error}");
    assert!(place.images.list().unwrap().is_empty());
    // The lower layer was good, and is of no use.
    place.images.collect().unwrap();
    assert_eq!((place.layers(), place.blobs()), (0, 0));
}

#[test]
fn torn_and_foreign_archives_are_refused() {
    let place = Place::new();
    let whole = fs::read(place.oci(&[&app("app", "x")])).unwrap();
    let path = place.path("torn.tar");
    for cut in (0..whole.len() - 1024).step_by(701) {
        fs::write(&path, &whole[..cut]).unwrap();
        let error = place.import(&path).unwrap_err();
        assert!(!images::chain(&error).is_empty());
    }
    for (bytes, want) in [
        (
            &b"not an archive"[..],
            "the archive cannot be read: the archive is torn: it ends at byte 14, inside a header",
        ),
        (
            &[0; 10240][..],
            "the archive is no image: it has neither an oci-layout with index.json nor a manifest.json",
        ),
        (
            &b"BZh91AY"[..],
            "bzip2 compression is not supported (gzip and zstd are)",
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = place.import(&path).unwrap_err();
        let text = images::chain(&error);
        assert!(text.ends_with(want), "{text}");
    }
}

#[test]
fn a_damaged_index_is_an_error() {
    let place = Place::new();
    fs::write(place.path("store/index.json"), "{").unwrap();
    assert!(matches!(place.images.list(), Err(Error::Index { .. })));
    assert!(matches!(
        Images::open(place.path("store")),
        Err(Error::Index { .. })
    ));
    fs::remove_file(place.path("store/index.json")).unwrap();
    fs::write(place.path("store/version"), "999\n").unwrap();
    assert!(matches!(
        Images::open(place.path("store")),
        Err(Error::Version { .. })
    ));
}

#[test]
fn a_lost_layer_is_an_error_and_an_import_mends_it() {
    let place = Place::new();
    let path = place.oci(&[&app("app", "x")]);
    place.import(&path).unwrap();
    let image = place.images.find("app").unwrap();
    let top = place.images.rootfs(&image).unwrap()[0].clone();
    fs::remove_dir_all(top.parent().unwrap()).unwrap();
    assert!(matches!(
        place.images.rootfs(&image),
        Err(Error::LayerMissing { .. })
    ));
    place.import(&path).unwrap();
    assert_eq!(place.read("app", "app"), "x");
}

#[test]
fn many_import_at_once() {
    let place = Place::new();
    let recipes: Vec<Recipe> = (0..4)
        .map(|n| app(&format!("app{n}"), &format!("{n}")))
        .collect();
    let path = place.oci(&recipes.iter().collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (place, path) = (&place, &path);
            scope.spawn(move || {
                // Half of them as other processes would.
                let images = match thread % 2 {
                    0 => place.images.clone(),
                    _ => Images::open(place.path("store")).unwrap(),
                };
                for _ in 0..3 {
                    images.import(path, &ImportOptions::default()).unwrap();
                    images.collect().unwrap();
                }
            });
        }
    });
    assert_eq!(place.layers(), 5);
    for n in 0..4 {
        assert_eq!(place.read(&format!("app{n}"), "app"), n.to_string());
    }
}
