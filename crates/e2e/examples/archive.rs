//! Writes the archive of the tests' images, for trying things by hand.

fn main() {
    let path = std::env::args().nth(1).expect("where to write the archive");
    e2e::archive(path.as_ref());
}
