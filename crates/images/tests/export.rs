//! What comes out of the store is what went in.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{fs::File, path::Path};

use images::{
    Images, ImportOptions,
    build::{Layer, Pack, Recipe, write_docker, write_oci},
};

fn recipe(pack: Pack) -> Recipe {
    let long = "directory/".repeat(20);
    Recipe::new("team/app:1")
        .unwrap()
        .layer(
            Layer::new()
                .directory("usr/lib", 0o755)
                .symlink("lib", "usr/lib")
                .file("lib/inside", 0o644, "inside")
                .file("exact", 0o600, vec![7; 512])
                .file("empty", 0o644, "")
                .file("large", 0o4755, vec![1; 300_000])
                .hardlink("linked", "large")
                .file(&format!("{long}file"), 0o644, "long"),
        )
        .layer(
            Layer::new()
                .whiteout("exact")
                .opaque("usr")
                .file("large", 0o644, "small"),
        )
        .cmd(&["/large"])
        .pack(pack)
}

fn import(images: &Images, path: &Path) -> images::Image {
    let imported = images.import(path, &ImportOptions::default()).unwrap();
    images.image(&imported[0].id).unwrap().unwrap()
}

#[test]
fn images_keep_their_identity() {
    for pack in [Pack::Plain, Pack::Gzip, Pack::Zstd] {
        for docker in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("in.tar");
            let file = File::create(&path).unwrap();
            match docker {
                true => write_docker(&[&recipe(pack)], file).unwrap(),
                false => write_oci(&[&recipe(pack)], file).unwrap(),
            }
            let images = Images::open(place.path().join("one")).unwrap();
            let image = import(&images, &path);
            let out = place.path().join("out.tar");
            let names = image.repo_tags.clone();
            images
                .export(&[(image.clone(), names)], File::create(&out).unwrap())
                .unwrap();
            let other = Images::open(place.path().join("two")).unwrap();
            let again = import(&other, &out);
            assert_eq!(again.id, image.id);
            assert_eq!(again.chain, image.chain);
            assert_eq!(again.repo_tags, ["docker.io/team/app:1"]);
        }
    }
}

#[test]
fn a_changed_layer_is_not_exported() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("in.tar");
    write_oci(&[&recipe(Pack::Gzip)], File::create(&path).unwrap()).unwrap();
    let images = Images::open(place.path().join("store")).unwrap();
    let image = import(&images, &path);
    let lowest = images.rootfs(&image).unwrap().pop().unwrap();
    std::fs::write(lowest.join("exact"), vec![8; 512]).unwrap();
    let error = images.pack(&image).err().unwrap().to_string();
    assert!(error.contains("packed again, should be sha256:"), "{error}");
    std::fs::remove_file(lowest.join("exact")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", lowest.join("exact")).unwrap();
    let error = images.pack(&image).err().unwrap();
    assert!(
        error.to_string().starts_with("pack layer sha256:"),
        "{error}"
    );
}
