//! The images made from Debian packages run.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{fs::File, path::Path, process::Command};

use images::{
    Images, ImportOptions,
    build::{NginxFiles, busybox_image, nginx_image, write_docker, write_oci},
};

const BUSYBOX: &str = "/bin/busybox";

fn missing(path: &Path) -> bool {
    if !path.exists() {
        eprintln!("skipped: {} is not installed", path.display());
    }
    !path.exists()
}

/// Runs a shell script in an image: its layers under an overlay, in mount,
/// network and PID namespaces of their own.
fn run(layers: &[std::path::PathBuf], script: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (root, upper, work) = (at("root"), at("upper"), at("work"));
    let lower: Vec<&str> = layers.iter().map(|layer| layer.to_str().unwrap()).collect();
    let outer = format!(
        "set -e
         mount -t overlay overlay -o lowerdir={},upperdir={upper},workdir={work} {root}
         mount -t proc proc {root}/proc
         mount --bind /dev {root}/dev
         exec chroot {root} /bin/sh -c '{script}'",
        lower.join(":")
    );
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            &outer,
        ])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    format!("{}{error}", String::from_utf8_lossy(&output.stdout))
}

#[test]
fn busybox_and_nginx_run() {
    let files = NginxFiles::default();
    if missing(Path::new(BUSYBOX)) || missing(&files.nginx) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let busybox = busybox_image("busybox:1.35", Path::new(BUSYBOX)).unwrap();
    let nginx = nginx_image("nginx:1.22", &files).unwrap();
    let path = directory.path().join("images.tar");
    write_oci(&[&busybox, &nginx], File::create(&path).unwrap()).unwrap();
    let images = Images::open(directory.path().join("store")).unwrap();
    images.import(&path, &ImportOptions::default()).unwrap();

    let image = images.find("busybox:1.35").unwrap();
    let shared = images.rootfs(&image).unwrap();
    let out = run(
        &shared,
        "busybox --list | while read a; do [ -e /bin/$a ] || echo no $a; done
                            id -un; env echo done",
    );
    assert_eq!(out, "root\ndone\n");

    let image = images.find("nginx:1.22").unwrap();
    let layers = images.rootfs(&image).unwrap();
    assert_eq!(layers[1], shared[0], "the layer of busybox is shared");
    assert_eq!(
        image.settings.entrypoint,
        ["/usr/sbin/nginx", "-g", "daemon off;"]
    );
    assert_eq!(image.settings.stop_signal, "SIGQUIT");
    let out = run(
        &layers,
        "ip link set lo up
         /usr/sbin/nginx -g \"daemon off;\" & nginx=$!
         n=0
         until wget -q -O- http://127.0.0.1/healthz; do
             n=$((n+1)); [ $n -lt 500 ] || exit 1; usleep 10000
         done 2>/dev/null
         wget -q -O- http://127.0.0.1/ | grep h1
         kill -QUIT $nginx
         wait $nginx",
    );
    assert!(out.starts_with("ok\n"), "{out}");
    assert!(out.contains("<h1>Welcome to nginx!</h1>\n"), "{out}");
    assert!(out.contains("GET / HTTP/1.1"), "it logs requests: {out}");
}

#[test]
fn equal_recipes_give_equal_archives() {
    if missing(Path::new(BUSYBOX)) {
        return;
    }
    let archive = || {
        let mut bytes = Vec::new();
        let recipe = busybox_image("busybox", Path::new(BUSYBOX)).unwrap();
        write_docker(&[&recipe], &mut bytes).unwrap();
        bytes
    };
    assert!(archive() == archive());
}
