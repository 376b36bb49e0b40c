//! Other programs' archives, and what other programs say of ours.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{
    fs::File,
    path::Path,
    process::{Command, Output},
};

use images::{
    Images, ImportOptions,
    build::{Layer, Pack, Recipe, write_docker, write_oci},
};

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn missing(program: &str) -> bool {
    let missing = Command::new(program).arg("--version").output().is_err();
    if missing {
        eprintln!("skipped: {program} is not installed");
    }
    missing
}

fn skopeo(arguments: &[&str]) -> String {
    let output = run("skopeo", &[&["--insecure-policy"], arguments].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "skopeo {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn recipe(pack: Pack) -> Recipe {
    let long = format!("{}/file", "long-directory-name/".repeat(12));
    let below = Layer::new()
        .file("etc/motd", 0o644, "hello")
        .file("gone", 0o644, "x")
        .file(&long, 0o600, "deep");
    let above = Layer::new().whiteout("gone").symlink("motd", "etc/motd");
    let recipe = Recipe::new("example.org/team/app:v1").unwrap().pack(pack);
    let recipe = recipe.layer(below).layer(above);
    recipe.entrypoint(&["/app"]).user("7")
}

#[test]
fn skopeo_copies_ours_and_we_read_its_copies() {
    if missing("skopeo") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (docker, oci) = (at("docker.tar"), at("oci.tar"));
    write_docker(&[&recipe(Pack::Plain)], File::create(&docker).unwrap()).unwrap();
    write_oci(&[&recipe(Pack::Gzip)], File::create(&oci).unwrap()).unwrap();
    let inspected = skopeo(&["inspect", "--config", &format!("oci-archive:{oci}")]);
    assert!(inspected.contains("\"User\": \"7\""), "{inspected}");

    let name = "example.org/team/app:v1";
    let mut expected = None;
    for (from, to) in [
        (
            format!("docker-archive:{docker}"),
            format!("oci-archive:{}:{name}", at("1")),
        ),
        (
            format!("oci-archive:{oci}"),
            format!("docker-archive:{}:{name}", at("2")),
        ),
        (
            format!("docker-archive:{docker}"),
            format!("docker-archive:{}:{name}", at("3")),
        ),
        (
            format!("oci-archive:{oci}"),
            format!("oci-archive:{}:{name}", at("4")),
        ),
    ] {
        skopeo(&["copy", &from, &to]);
        let archive = to.split(':').nth(1).unwrap();
        let found = import(&directory.path().join("store"), archive, name);
        assert_eq!(expected.get_or_insert(found.clone()), &found, "{to}");
    }
    let zstd = format!("oci-archive:{}:{name}", at("5"));
    let from = format!("oci-archive:{oci}");
    skopeo(&["copy", "--dest-compress-format=zstd", &from, &zstd]);
    import(&directory.path().join("store"), &at("5"), name);
}

/// Imports into a new store; returns what identifies the content.
fn import(store: &Path, archive: &str, name: &str) -> Vec<String> {
    if store.exists() {
        std::fs::remove_dir_all(store).unwrap();
    }
    let images = Images::open(store).unwrap();
    let options = ImportOptions::default();
    images.import(Path::new(archive), &options).unwrap();
    let image = images.resolve(name).unwrap().unwrap();
    assert_eq!(image.settings.user, "7");
    assert_eq!(image.settings.entrypoint, ["/app"]);
    let layers = images.rootfs(&image).unwrap();
    assert!(layers[0].join("motd").is_symlink());
    let deep = format!("{}/file", "long-directory-name/".repeat(12));
    assert_eq!(std::fs::read(layers[1].join(deep)).unwrap(), b"deep");
    image.chain.iter().map(ToString::to_string).collect()
}

#[test]
fn layers_of_gnu_tar() {
    if missing("tar") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    let long = "a-name-of-some-length/".repeat(15);
    std::fs::create_dir_all(tree.join(&long)).unwrap();
    std::fs::write(tree.join(&long).join("file"), "deep").unwrap();
    std::fs::hard_link(tree.join(&long).join("file"), tree.join("hard")).unwrap();
    std::os::unix::fs::symlink(&long, tree.join("soft")).unwrap();
    let tree = tree.to_str().unwrap();
    for format in ["gnu", "pax", "posix"] {
        let root = directory.path().join(format);
        std::fs::create_dir(&root).unwrap();
        let archive = directory.path().join("layer.tar");
        let path = archive.to_str().unwrap();
        let output = run(
            "tar",
            &[&format!("--format={format}"), "-C", tree, "-cf", path, "."],
        );
        assert!(output.status.success());
        let bytes = std::fs::read(&archive).unwrap();
        images::unpack::unpack(&bytes[..], &root, &[], Default::default()).unwrap();
        assert_eq!(std::fs::read(root.join("hard")).unwrap(), b"deep");
        assert_eq!(std::fs::read(root.join("soft/file")).unwrap(), b"deep");
    }
}
