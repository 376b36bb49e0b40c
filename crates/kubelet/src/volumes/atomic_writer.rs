//! Files that change all at once: a directory of links into a dated directory
//! that one rename replaces.
//!
//! ```text
//! key -> ..data/key
//! ..data -> ..2026_11_20_17_30_00.123456789
//! ..2026_11_20_17_30_00.123456789/key
//! ```
//! Follows pkg/volume/util/atomic_writer.go: programs watch exactly these links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use super::VolumeError;

/// The link that one rename replaces.
const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// What a volume shall hold, by path below its root.
pub type Payload = BTreeMap<PathBuf, File>;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// What is in it.
    pub data: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Whose it is, where not root's.
    pub user: Option<u32>,
}

/// Makes `directory` hold exactly the payload. `dated` is a name that was
/// never used there. Returns whether anything was changed.
pub fn write(
    directory: &Path,
    payload: &Payload,
    dated: &str,
    group: Option<u32>,
) -> Result<bool, VolumeError> {
    for path in payload.keys() {
        check(path)?;
    }
    let old = match fs::read_link(directory.join(DATA)) {
        Ok(target) => Some(directory.join(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("read link", &directory.join(DATA), error)),
    };
    if let Some(old) = &old
        && is_current(old, payload)
    {
        links(directory, payload)?;
        return Ok(false);
    }
    let new = directory.join(dated);
    fill(&new, payload, group)?;
    let link = directory.join(DATA_NEW);
    remove_file(&link)?;
    symlink(dated, &link).map_err(|error| failed("link", &link, error))?;
    let data = directory.join(DATA);
    fs::rename(&link, &data).map_err(|error| failed("rename to", &data, error))?;
    links(directory, payload)?;
    stale(directory, payload, &new)?;
    Ok(true)
}

/// Paths stay below the root and away from the writer's own names.
fn check(path: &Path) -> Result<(), VolumeError> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let own = path.to_string_lossy().starts_with("..");
    if !plain || own || path.as_os_str().is_empty() || path.as_os_str().len() > 4096 {
        return Err(VolumeError::Path(path.display().to_string()));
    }
    Ok(())
}

fn is_current(old: &Path, payload: &Payload) -> bool {
    let Ok(present) = files_below(old) else {
        return false;
    };
    present.len() == payload.len()
        && payload.iter().all(|(path, file)| {
            let full = old.join(path);
            let same_mode = fs::metadata(&full).is_ok_and(|meta| {
                let group_bits = 0o440;
                (meta.permissions().mode() & 0o777 | group_bits) == (file.mode & 0o777 | group_bits)
            });
            same_mode && fs::read(&full).is_ok_and(|data| data == file.data)
        })
}

fn files_below(directory: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if let Ok(path) = entry.path().strip_prefix(directory) {
                found.insert(path.to_owned());
            }
        }
    }
    Ok(found)
}

fn fill(directory: &Path, payload: &Payload, group: Option<u32>) -> Result<(), VolumeError> {
    make_directory(directory, group)?;
    for (path, file) in payload {
        let full = directory.join(path);
        let mut parent = directory.to_owned();
        for part in path.parent().into_iter().flat_map(Path::components) {
            parent.push(part);
            if !parent.is_dir() {
                make_directory(&parent, group)?;
            }
        }
        fs::write(&full, &file.data).map_err(|error| failed("write", &full, error))?;
        // With a group the volume is readable for it, whatever the mode says.
        let extra = if group.is_some() { 0o440 } else { 0 };
        if file.user.is_some() || group.is_some() {
            chown(&full, file.user, group)
                .map_err(|error| failed("change owner of", &full, error))?;
        }
        set_mode(&full, file.mode | extra)?;
    }
    Ok(())
}

fn make_directory(path: &Path, group: Option<u32>) -> Result<(), VolumeError> {
    fs::create_dir_all(path).map_err(|error| failed("create", path, error))?;
    let mode = match group {
        None => 0o755,
        Some(_) => {
            chown(path, None, group).map_err(|error| failed("change owner of", path, error))?;
            0o2755
        }
    };
    set_mode(path, mode)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), VolumeError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| failed("change mode of", path, error))
}

/// The names that users see: one link for each first part of a path.
fn links(directory: &Path, payload: &Payload) -> Result<(), VolumeError> {
    for name in first_parts(payload) {
        let link = directory.join(&name);
        let target = Path::new(DATA).join(&name);
        match fs::read_link(&link) {
            Ok(present) if present == target => continue,
            _ => {
                remove_file(&link)?;
                symlink(&target, &link).map_err(|error| failed("link", &link, error))?;
            }
        }
    }
    Ok(())
}

fn first_parts(payload: &Payload) -> BTreeSet<PathBuf> {
    payload
        .keys()
        .filter_map(|path| path.components().next())
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect()
}

/// Takes away links without a file and earlier dated directories.
fn stale(directory: &Path, payload: &Payload, new: &Path) -> Result<(), VolumeError> {
    let wanted = first_parts(payload);
    let entries = fs::read_dir(directory).map_err(|error| failed("read", directory, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed("read", directory, error))?;
        let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
        let own = name.to_string_lossy().starts_with("..");
        if own && path != new && name != Path::new(DATA) {
            let removed = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(|error| failed("remove", &path, error))?;
        } else if !own && !wanted.contains(&name) {
            remove_file(&path)?;
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), VolumeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> VolumeError {
    VolumeError::io(operation, path, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |data: &str| File {
            data: data.as_bytes().to_vec(),
            mode: 0o644,
            user: None,
        };
        files
            .iter()
            .map(|(path, data)| (PathBuf::from(path), file(data)))
            .collect()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn everything_changes_at_once() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let first = payload(&[("a", "1"), ("dir/b", "2")]);
        assert!(write(root, &first, "..one", None).unwrap());
        assert_eq!(names(root), ["..data", "..one", "a", "dir"]);
        assert_eq!(fs::read_to_string(root.join("dir/b")).unwrap(), "2");
        assert_eq!(
            fs::read_link(root.join("a")).unwrap(),
            Path::new("..data/a")
        );
        assert!(!write(root, &first, "..two", None).unwrap());
        let second = payload(&[("a", "1"), ("c", "3")]);
        assert!(write(root, &second, "..two", None).unwrap());
        assert_eq!(names(root), ["..data", "..two", "a", "c"]);
        assert_eq!(fs::read_to_string(root.join("c")).unwrap(), "3");
    }

    #[test]
    fn a_file_has_its_mode_and_the_group_reads() {
        let temp = tempfile::tempdir().unwrap();
        let mut files = payload(&[("a", "1")]);
        files.values_mut().for_each(|file| file.mode = 0o400);
        write(temp.path(), &files, "..one", Some(4242)).unwrap();
        let meta = fs::metadata(temp.path().join("a")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o440);
        assert_eq!(std::os::unix::fs::MetadataExt::gid(&meta), 4242);
        assert!(!write(temp.path(), &files, "..two", Some(4242)).unwrap());
    }

    #[test]
    fn paths_stay_inside() {
        let temp = tempfile::tempdir().unwrap();
        for path in ["../a", "/a", "..a", "a/../../b", ""] {
            let result = write(temp.path(), &payload(&[(path, "1")]), "..one", None);
            assert!(matches!(result, Err(VolumeError::Path(_))), "{path}");
        }
    }
}
