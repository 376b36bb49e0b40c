//! `hostPath`: a file or directory of the node, checked to be what it should.
//!
//! Follows pkg/volume/hostpath/host_path.go.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use typed::api::core::v1::Volume;

use super::{Plugin, Setup, VolumeError};

/// The plugin.
pub struct HostPathVolume;

#[async_trait]
impl Plugin for HostPathVolume {
    fn name(&self) -> &'static str {
        "kubernetes.io/host-path"
    }

    fn knows(&self, volume: &Volume) -> bool {
        volume.host_path.is_some()
    }

    async fn set_up(&self, volume: &Volume, _setup: &Setup<'_>) -> Result<PathBuf, VolumeError> {
        let source = volume.host_path.clone().unwrap_or_default();
        let path = PathBuf::from(&source.path);
        check(&path, source.type_.as_deref().unwrap_or_default())?;
        Ok(path)
    }
}

fn check(path: &Path, kind: &str) -> Result<(), VolumeError> {
    let failed = |operation, error| VolumeError::io(operation, path, error);
    match kind {
        "DirectoryOrCreate" if !path.exists() => {
            return fs::create_dir_all(path).map_err(|error| failed("create", error));
        }
        "FileOrCreate" if !path.exists() => {
            fs::File::create(path).map_err(|error| failed("create", error))?;
            return fs::set_permissions(path, fs::Permissions::from_mode(0o644))
                .map_err(|error| failed("change mode of", error));
        }
        // The runtime makes a directory where nothing is.
        "" => {
            if !path.exists() {
                fs::create_dir_all(path).map_err(|error| failed("create", error))?;
            }
            return Ok(());
        }
        _ => {}
    }
    let Ok(found) = fs::metadata(path) else {
        return Err(mismatch(path, words(kind)));
    };
    let kind_found = found.file_type();
    let fits = match kind {
        "Directory" | "DirectoryOrCreate" => kind_found.is_dir(),
        "File" | "FileOrCreate" => kind_found.is_file(),
        "Socket" => kind_found.is_socket(),
        "CharDevice" => kind_found.is_char_device(),
        "BlockDevice" => kind_found.is_block_device(),
        other => {
            return Err(VolumeError::Invalid(format!(
                "{other} is an invalid volume type"
            )));
        }
    };
    if fits {
        Ok(())
    } else {
        Err(mismatch(path, words(kind)))
    }
}

fn words(kind: &str) -> &'static str {
    match kind {
        "File" | "FileOrCreate" => "a file",
        "Socket" => "a socket file",
        "CharDevice" => "a character device",
        "BlockDevice" => "a block device",
        _ => "a directory",
    }
}

fn mismatch(path: &Path, what: &str) -> VolumeError {
    VolumeError::Invalid(format!(
        "hostPath type check failed: {} is not {what}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        let missing = temp.path().join("missing");
        let text = |path: &Path, kind| check(path, kind).map_err(|error| error.to_string());
        assert_eq!(text(temp.path(), "Directory"), Ok(()));
        assert_eq!(text(&file, "File"), Ok(()));
        assert_eq!(text(Path::new("/dev/null"), "CharDevice"), Ok(()));
        let wrong = format!(
            "hostPath type check failed: {} is not a directory",
            file.display()
        );
        assert_eq!(text(&file, "Directory"), Err(wrong));
        assert!(text(&missing, "File").is_err());
        assert!(text(&file, "Socket").is_err());
        assert!(text(&file, "Odd").is_err());
        assert_eq!(text(&missing, "DirectoryOrCreate"), Ok(()));
        assert!(missing.is_dir());
        let made = temp.path().join("made");
        assert_eq!(text(&made, "FileOrCreate"), Ok(()));
        assert!(made.is_file());
    }
}
