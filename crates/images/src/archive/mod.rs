//! Image archives on disk: OCI image layouts and what `docker save` writes.
//!
//! An archive is read twice: once for the place of each member, seeking past
//! the content, and then member by member as they are needed. So an archive
//! of any size takes little memory, and needs no room of its own on disk.

mod docker;
mod oci;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use crate::{
    compression::{self, Compression},
    digest::{Digest, ParseError},
    document::{DOCUMENT_MAX, Platform},
    reference::{self, Reference},
    source::{Blobs, Candidate, Layer},
    tarball::{self, Kind, Reader, Seeking},
};

/// Members of an archive that are remembered.
const MEMBERS_MAX: usize = 1_000_000;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no good tar archive.
    #[error("the archive cannot be read")]
    Tar(#[from] tarball::Error),
    /// It could not be read.
    #[error("read {what} in the archive")]
    Read {
        /// The member.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is neither of the two kinds.
    #[error(
        "the archive is no image: it has neither an oci-layout with index.json nor a manifest.json"
    )]
    NoImage,
    /// It has no image at all, or none for this machine.
    #[error("the archive has no image for {here}, only for: {found}")]
    Platform {
        /// What would do.
        here: String,
        /// What there is.
        found: String,
    },
    /// A member is missing.
    #[error("the archive lacks {0}")]
    Missing(String),
    /// A document is too large to be one.
    #[error("{what} has {size} bytes, more than the {DOCUMENT_MAX} that a document may have")]
    Large {
        /// The member.
        what: String,
        /// Its size.
        size: u64,
    },
    /// A document is no JSON of its kind.
    #[error("{what} in the archive is not valid")]
    Document {
        /// The member.
        what: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Content is not what its name says.
    #[error("{what} in the archive should be {expected} but is {found}")]
    Digest {
        /// The member.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A name given to an image is none.
    #[error("the archive calls an image {text:?}")]
    Reference {
        /// The name.
        text: String,
        /// What is wrong with it.
        #[source]
        source: reference::Error,
    },
    /// A digest cannot be used.
    #[error("{what} in the archive")]
    BadDigest {
        /// Where it stands.
        what: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// A kind of content that is not supported.
    #[error("{what} in the archive has media type {media_type:?}, which is not supported")]
    MediaType {
        /// The member.
        what: String,
        /// Its media type.
        media_type: String,
    },
    /// Indexes within indexes.
    #[error("the archive's indexes are nested more than {0} deep")]
    Nested(usize),
    /// More members than can be remembered.
    #[error("the archive has more than {MEMBERS_MAX} members")]
    Members,
    /// Layers and configuration disagree.
    #[error("image {image} has {layers} layers, but its configuration names {diff_ids}")]
    LayerCount {
        /// Its ID.
        image: Digest,
        /// Layers that it has.
        layers: usize,
        /// Layers that the configuration names.
        diff_ids: usize,
    },
}

/// An archive whose members can be opened in any order.
pub struct Archive {
    file: File,
    members: HashMap<String, Member>,
}

enum Member {
    Content { start: u64, size: u64 },
    Link(String),
}

impl Archive {
    /// Notes the members of an uncompressed archive.
    pub fn open(file: File) -> Result<Self, Error> {
        let read = |source| Error::Read {
            what: "the members".to_owned(),
            source,
        };
        let seeking = Seeking::new(file.try_clone().map_err(read)?).map_err(read)?;
        let mut reader = Reader::new(seeking);
        let mut members = HashMap::new();
        while let Some(entry) = reader.next()? {
            let Some(path) = clean(&entry.path, "") else {
                continue;
            };
            let member = match entry.kind {
                Kind::File => Member::Content {
                    start: reader.position(),
                    size: entry.size,
                },
                Kind::Hardlink => match clean(&entry.link, "") {
                    Some(target) => Member::Link(target),
                    None => continue,
                },
                Kind::Symlink => match clean(&entry.link, &path) {
                    Some(target) => Member::Link(target),
                    None => continue,
                },
                _ => continue,
            };
            if members.len() >= MEMBERS_MAX {
                return Err(Error::Members);
            }
            members.insert(path, member);
        }
        Ok(Self { file, members })
    }

    /// The images that this machine can run.
    pub fn candidates(
        &self,
        platform: &Platform,
        name: Option<&Reference>,
    ) -> Result<Vec<Candidate>, Error> {
        if self.has("oci-layout") && self.has("index.json") {
            return oci::candidates(self, platform, name);
        }
        if self.has("manifest.json") {
            return docker::candidates(self);
        }
        Err(Error::NoImage)
    }

    fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Follows links, a few of them.
    fn find(&self, path: &str) -> Option<(u64, u64)> {
        let path = clean(path.as_bytes(), "")?;
        let mut path = path.as_str();
        for _ in 0..8 {
            match self.members.get(path)? {
                Member::Content { start, size } => return Some((*start, *size)),
                Member::Link(target) => path = target,
            }
        }
        None
    }

    /// Reads a whole document.
    fn document(&self, path: &str) -> Result<Vec<u8>, Error> {
        let (_, size) = self
            .find(path)
            .ok_or_else(|| Error::Missing(path.to_owned()))?;
        if size > DOCUMENT_MAX {
            return Err(Error::Large {
                what: path.to_owned(),
                size,
            });
        }
        let mut content = Vec::new();
        self.member(path)
            .and_then(|mut member| member.read_to_end(&mut content))
            .map_err(|source| Error::Read {
                what: path.to_owned(),
                source,
            })?;
        Ok(content)
    }

    fn member(&self, path: &str) -> io::Result<Window<'_>> {
        let (start, size) = self.find(path).ok_or_else(|| {
            let text = format!("the archive lacks {path}");
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        Ok(Window {
            file: &self.file,
            at: start,
            end: start + size,
        })
    }
}

impl Blobs for Archive {
    fn open(&self, layer: &Layer) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.member(&layer.name)?))
    }
}

/// Part of a file.
struct Window<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = (buffer.len() as u64).min(self.end - self.at) as usize;
        if want == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..want], self.at)?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive became shorter while it was read",
            ));
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// Whether a file is a compressed archive, which has to be uncompressed
/// before members can be opened in any order.
pub fn compression(file: &File) -> io::Result<Compression> {
    let mut start = [0; 8];
    let count = file.read_at(&mut start, 0)?;
    compression::detect(&start[..count])
}

/// A member's name without `./`, or a link's target as seen from `base`.
fn clean(path: &[u8], base: &str) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let mut parts: Vec<&str> = Vec::new();
    if !path.starts_with('/') {
        parts.extend(base.split('/').filter(|part| !part.is_empty()));
        parts.pop();
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn verify(what: &str, expected: Digest, content: &[u8]) -> Result<(), Error> {
    let found = Digest::of(content);
    if found != expected {
        return Err(Error::Digest {
            what: what.to_owned(),
            expected,
            found,
        });
    }
    Ok(())
}

fn parse<'a, T: serde::Deserialize<'a>>(what: &str, content: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(content).map_err(|source| Error::Document {
        what: what.to_owned(),
        source,
    })
}

fn named(text: &str) -> Result<Reference, Error> {
    Reference::parse(text).map_err(|source| Error::Reference {
        text: text.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn names_and_links() {
        for (path, base, want) in [
            ("./blobs/sha256/a", "", Some("blobs/sha256/a")),
            ("/index.json", "", Some("index.json")),
            ("../b/layer.tar", "a/layer.tar", Some("b/layer.tar")),
            ("c", "a/b", Some("a/c")),
            ("../../x", "a/b", None),
            ("./", "", None),
        ] {
            assert_eq!(clean(path.as_bytes(), base).as_deref(), want, "{path}");
        }
    }
}
