//! A process that dies in the middle of an import leaves no half image.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use images::{
    Images, ImportOptions,
    build::{Layer, Recipe, write_oci},
};

const STORE: &str = "IMAGES_TEST_STORE";
const FILES: usize = 60;

fn recipe(name: &str) -> Recipe {
    let mut recipe = Recipe::new(name).unwrap();
    for layer in 0..3 {
        let mut files = Layer::new();
        for file in 0..FILES {
            let content = format!("{name} {layer} {file} ").repeat(50);
            files = files.file(&format!("{layer}/{file}"), 0o644, content);
        }
        recipe = recipe.layer(files);
    }
    recipe
}

/// What the killed process does: imports and removes, again and again.
#[test]
#[ignore = "a helper of the test below"]
fn helper() {
    let Some(directory) = env::var_os(STORE).map(PathBuf::from) else {
        return;
    };
    let images = Images::open(directory.join("store")).unwrap();
    loop {
        for name in ["a", "b"] {
            let path = directory.join(format!("{name}.tar"));
            images.import(&path, &ImportOptions::default()).unwrap();
        }
        images.remove("a").unwrap();
    }
}

fn start(directory: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "helper", "--ignored"])
        .env(STORE, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The state of the store, as far as names tell it.
fn glance(store: &Path) -> Vec<PathBuf> {
    let list = |path: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(store.join(path)).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect()
    };
    ["ingest", "layers", "blobs/sha256", ""].map(list).concat()
}

#[test]
fn nothing_half_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let path = directory.path().join(format!("{name}.tar"));
        write_oci(&[&recipe(name)], File::create(path).unwrap()).unwrap();
    }
    let store = directory.path().join("store");
    let mut seen = 0;
    for round in 0..24 {
        let mut child = start(directory.path());
        // Die after some number of changes, another one in each round.
        let mut last = glance(&store);
        let mut changes = 0;
        while changes <= round * 2 {
            let now = glance(&store);
            if now != last {
                changes += 1;
                last = now;
            }
            assert!(child.try_wait().unwrap().is_none(), "the helper failed");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        seen += check(&store);
    }
    assert!(seen > 0, "some imports should have come through");
}

/// Opens the store; whatever it says it has must be whole.
fn check(store: &Path) -> usize {
    let images = Images::open(store).unwrap();
    assert_eq!(fs::read_dir(store.join("ingest")).unwrap().count(), 0);
    let all = images.list().unwrap();
    for image in &all {
        let name = image.repo_tags[0].as_str();
        let short = &name["docker.io/library/".len()..name.len() - ":latest".len()];
        let layers = images.rootfs(image).unwrap();
        assert_eq!(layers.len(), 3);
        for (layer, path) in layers.iter().rev().enumerate() {
            for file in 0..FILES {
                let content = fs::read_to_string(path.join(format!("{layer}/{file}"))).unwrap();
                assert_eq!(content, format!("{short} {layer} {file} ").repeat(50));
            }
        }
    }
    let layers = fs::read_dir(store.join("layers")).unwrap().count();
    assert_eq!(layers, 3 * all.len(), "layers that nobody needs are gone");
    all.len()
}
