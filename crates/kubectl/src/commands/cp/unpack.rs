//! An archive of a container as local files, and nothing outside of where they belong.

use super::place::{clean, folder, is_below, join, without_shortcuts};
use crate::error::{Error, Result, said};
use crate::io;
use crate::words::quote;
use std::io::Read;
use tar::{Archive, Entry};

/// Where an archive comes from and goes to.
#[derive(Clone, Debug)]
pub(super) struct Unpacking {
    /// The path in the container.
    pub(super) from: String,
    /// The path here.
    pub(super) to: String,
    /// How the user is told to get symbolic links.
    pub(super) namespace: String,
    pub(super) pod: String,
}

impl Unpacking {
    /// Writes the files of an archive.
    pub(super) fn unpack(&self, archive: impl Read) -> Result {
        let from = clean(self.from.trim_start_matches(['/', '\\']));
        let prefix = without_shortcuts(&from);
        let mut archive = Archive::new(archive);
        let entries = archive.entries().map_err(unreadable)?;
        let mut warned = false;
        for entry in entries {
            self.place(&mut entry.map_err(unreadable)?, &prefix, &mut warned)?;
        }
        Ok(())
    }

    fn place(&self, entry: &mut Entry<impl Read>, prefix: &str, warned: &mut bool) -> Result {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(below) = name.strip_prefix(prefix) else {
            return said("tar contents corrupted");
        };
        let to = join(&self.to, &below.replace('\\', "/"));
        if !is_below(&self.to, &to) {
            io::warn(format!(
                "warning: file {} is outside target destination, skipping",
                quote(&to)
            ));
            return Ok(());
        }
        let kind = entry.header().entry_type();
        let new_folder = if kind.is_dir() {
            to.clone()
        } else {
            folder(&to)
        };
        std::fs::create_dir_all(&new_folder).map_err(|e| failed("mkdir", &new_folder, &e))?;
        if kind.is_dir() {
            return Ok(());
        }
        if kind.is_symlink() {
            self.skip_link(entry, &to, warned);
            return Ok(());
        }
        let mut file = std::fs::File::create(&to).map_err(|e| failed("open", &to, &e))?;
        std::io::copy(entry, &mut file).map_err(|error| failed("write", &to, &error))?;
        Ok(())
    }

    /// What a container says that a name means here is nothing to follow.
    fn skip_link(&self, entry: &Entry<impl Read>, to: &str, warned: &mut bool) {
        let target = entry.link_name_bytes().unwrap_or_default();
        let target = String::from_utf8_lossy(&target).into_owned();
        let mut text = format!(
            "warning: skipping symlink: {} -> {}",
            quote(to),
            quote(&target)
        );
        if !*warned {
            *warned = true;
            text = format!(
                "{text} (consider using \"kubectl exec -n {} {} -- tar cf - {} | tar xf -\")",
                quote(&self.namespace),
                quote(&self.pod),
                quote(&self.from)
            );
        }
        io::warn(text);
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::Said(format!("read the archive: {error}"))
}

fn failed(operation: &str, path: &str, error: &std::io::Error) -> Error {
    Error::Said(io::file_words(operation, path, error))
}

#[cfg(test)]
mod tests {
    use super::super::pack::pack;
    use super::*;
    use tar::{Builder, EntryType, Header};

    fn unpacking(to: &std::path::Path) -> Unpacking {
        Unpacking {
            from: "/data/tree".into(),
            to: to.to_string_lossy().into_owned(),
            namespace: "a".into(),
            pod: "b".into(),
        }
    }

    #[test]
    fn what_was_packed_is_unpacked_without_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("sub/empty")).expect("folders");
        std::fs::write(tree.join("sub/file"), vec![7; 100_000]).expect("a file");
        std::fs::write(tree.join("x".repeat(120)), "long").expect("a file");
        std::os::unix::fs::symlink("/etc/passwd", tree.join("link")).expect("a link");
        let mut archive = Vec::new();
        pack(&tree, "data/tree", &mut archive).expect("an archive");
        let copy = folder.path().join("copy");
        unpacking(&copy).unpack(archive.as_slice()).expect("files");
        let read = |name: &str| std::fs::read(copy.join(name)).expect("a file");
        assert_eq!(read("sub/file"), vec![7; 100_000]);
        assert_eq!(read(&"x".repeat(120)), b"long");
        assert!(copy.join("sub/empty").is_dir());
        assert!(copy.join("link").symlink_metadata().is_err());
    }

    fn archive_of(name: &str) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(3);
        // The builder refuses such names; an evil container does not.
        header.as_gnu_mut().expect("a header of GNU's").name[..name.len()]
            .copy_from_slice(name.as_bytes());
        header.set_cksum();
        let mut archive = Builder::new(Vec::new());
        archive.append(&header, &b"bad"[..]).expect("room");
        archive.into_inner().expect("room")
    }

    #[test]
    fn archives_do_not_lead_outside() {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("copy");
        let escaped = unpacking(&copy).unpack(archive_of("data/tree/../../evil").as_slice());
        assert!(escaped.is_ok(), "{escaped:?}");
        assert!(!folder.path().join("evil").exists());
        assert!(
            !folder
                .path()
                .parent()
                .expect("a parent")
                .join("evil")
                .exists()
        );
        let corrupted = unpacking(&copy).unpack(archive_of("/etc/evil").as_slice());
        let words = corrupted.expect_err("another prefix").to_string();
        assert_eq!(words, "tar contents corrupted");
    }
}
