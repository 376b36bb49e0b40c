//! A local file or folder as an archive.

use crate::error::{Error, Result, said};
use crate::io::file_words;
use std::fs::Metadata;
use std::io::Write;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// Writes an archive in which what lies at a path here has another name. Folders are only in it when
/// they are empty; others come to be with their files.
pub(super) fn pack(from: &Path, name: &str, to: impl Write) -> Result {
    let mut archive = Builder::new(to);
    archive.follow_symlinks(false);
    add(&mut archive, from, name)?;
    let mut to = archive
        .into_inner()
        .map_err(|error| failed("write", from, &error))?;
    to.flush().map_err(|error| failed("write", from, &error))
}

fn add(archive: &mut Builder<impl Write>, from: &Path, name: &str) -> Result {
    let metadata = from
        .symlink_metadata()
        .map_err(|error| failed("lstat", from, &error))?;
    if metadata.is_dir() {
        return add_folder(archive, from, &metadata, name);
    }
    let mut header = header(&metadata);
    if metadata.is_symlink() {
        let target = from
            .read_link()
            .map_err(|error| failed("readlink", from, &error))?;
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        let added = archive.append_link(&mut header, name, target);
        return added.map_err(|error| failed("archive", from, &error));
    }
    if !metadata.is_file() {
        return said(format!(
            "archive {}: not a file, folder or link",
            from.display()
        ));
    }
    let file = std::fs::File::open(from).map_err(|error| failed("open", from, &error))?;
    let added = archive.append_data(&mut header, name, file);
    added.map_err(|error| failed("archive", from, &error))
}

fn add_folder(
    archive: &mut Builder<impl Write>,
    from: &Path,
    metadata: &Metadata,
    name: &str,
) -> Result {
    let entries =
        std::fs::read_dir(from).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let mut entries = entries.map_err(|error| failed("open", from, &error))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    if entries.is_empty() {
        let mut header = header(metadata);
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        let added = archive.append_data(&mut header, format!("{name}/"), std::io::empty());
        return added.map_err(|error| failed("archive", from, &error));
    }
    for entry in entries {
        let file_name = entry.file_name();
        let Some(file_name) = file_name.to_str() else {
            return said(format!(
                "archive {}: the name is not UTF-8",
                entry.path().display()
            ));
        };
        add(archive, &entry.path(), &super::place::join(name, file_name))?;
    }
    Ok(())
}

fn header(metadata: &Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header
}

fn failed(operation: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::Said(file_words(operation, &path.to_string_lossy(), error))
}
