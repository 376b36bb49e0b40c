//! The program of ours that is to be held beside a stock kubectl.

use crate::kubectl::Kubectl;
use crate::scope::Scope;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A folder of a test's own, which goes with its owner.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(test: &str) -> Folder {
        let name = format!("tiphys-e2e-{test}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a folder");
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies where such things are swept up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binary under the name by which it is kubectl, in a folder of this test's own.
///
/// # Panics
/// When the folder cannot be made.
pub fn own(t: &Scope, test: &str) -> (Folder, Kubectl) {
    let folder = Folder::new(&format!("own-kubectl-{test}"));
    let program = folder.path().join("kubectl");
    symlink(crate::tiphys(), &program).expect("a link");
    let own = t.with_program(&program);
    (folder, own)
}
