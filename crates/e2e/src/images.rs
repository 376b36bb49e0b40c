//! The images that tests run, made from Debian's packages.

use images::build::{NginxFiles, busybox_image, nginx_image, write_oci};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A static busybox.
pub const BUSYBOX: &str = "docker.io/library/busybox:1.35";
/// A web server on top of it.
pub const NGINX: &str = "docker.io/library/nginx:1.22";

/// Writes an archive with all images of the tests.
///
/// # Panics
/// When Debian's packages are missing.
pub fn archive(path: &Path) {
    let busybox =
        busybox_image(BUSYBOX, Path::new("/bin/busybox")).expect("Debian's busybox-static");
    let nginx = nginx_image(NGINX, &NginxFiles::default()).expect("Debian's nginx-light");
    let mut file = File::create(path).expect("create the archive of images");
    write_oci(&[&busybox, &nginx], &mut file).expect("write the archive of images");
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
