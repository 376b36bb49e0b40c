//! The images that tests run, made from Debian's packages.

use images::build::{
    Layer, NginxFiles, Recipe, busybox_image, nginx_image, write_docker, write_oci,
};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A static busybox.
pub const BUSYBOX: &str = "docker.io/library/busybox:1.35";
/// A web server on top of it.
pub const NGINX: &str = "docker.io/library/nginx:1.22";
/// curl and socat on top of it, for what busybox does not speak.
pub const TOOLS: &str = "docker.io/library/tools:1";

/// Writes an archive with all images of the tests.
///
/// # Panics
/// When Debian's packages are missing.
pub fn archive(path: &Path) {
    let busybox =
        busybox_image(BUSYBOX, Path::new("/bin/busybox")).expect("Debian's busybox-static");
    let nginx = nginx_image(NGINX, &NginxFiles::default()).expect("Debian's nginx-light");
    let tools = tools_image().expect("Debian's curl and socat");
    let mut file = File::create(path).expect("create the archive of images");
    write_oci(&[&busybox, &nginx, &tools], &mut file).expect("write the archive of images");
}

/// Writes an archive with one image: a program of ours on top of a busybox,
/// at `/program`.
///
/// # Panics
/// When Debian's packages are missing.
pub fn archive_program(path: &Path, name: &str, program: &Path) {
    let layer = Layer::new().program(program).expect("the program");
    let layer = layer.symlink("program", &program.to_string_lossy());
    let image = busybox_image(name, Path::new("/bin/busybox"))
        .expect("Debian's busybox-static")
        .layer(layer);
    let mut file = File::create(path).expect("create the archive");
    write_docker(&[&image], &mut file).expect("write the archive");
}

fn tools_image() -> Result<Recipe, images::build::Error> {
    let layer = Layer::new()
        .program(Path::new("/usr/bin/curl"))?
        .program(Path::new("/usr/bin/socat"))?;
    Ok(busybox_image(TOOLS, Path::new("/bin/busybox"))?.layer(layer))
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
