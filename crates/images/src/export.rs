//! Images leave the store: packed again, with the manifest that goes with it.
//!
//! Layers are made again from their outlines and verified against their diff
//! IDs, so that an image keeps its ID. The manifest is new, because nobody
//! packs like somebody else.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::{
    Digest, Error, Image, Images,
    digest::{Hasher, Verifier},
    store::Work,
    tarball::{Kind, Member, Writer, outline},
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of the manifests that are made here.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image that is packed, in a directory that goes with this.
pub struct Packed {
    /// Its configuration, whose digest is its ID.
    pub configuration: Vec<u8>,
    /// Its layers, lowest first.
    pub layers: Vec<PackedLayer>,
    /// Its manifest.
    pub manifest: Vec<u8>,
    _place: Work,
}

/// A layer that is packed.
#[derive(Clone, Debug)]
pub struct PackedLayer {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// Where it is.
    pub path: PathBuf,
}

impl Images {
    /// Packs an image.
    pub fn pack(&self, image: &Image) -> Result<Packed, Error> {
        let path = self.blob(&image.id);
        let configuration = fs::read(&path).map_err(Error::io("read", &path))?;
        let place = self.scratch()?;
        let mut layers = Vec::new();
        for (index, chain) in image.chain.iter().enumerate() {
            let target = place.path().join(index.to_string());
            layers.push(self.pack_layer(chain, &target)?);
        }
        let descriptor = |layer: &PackedLayer| json!({"mediaType": LAYER, "digest": layer.digest, "size": layer.size});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": image.id, "size": configuration.len()},
            "layers": layers.iter().map(descriptor).collect::<Vec<Value>>(),
        });
        Ok(Packed {
            configuration,
            layers,
            manifest: manifest.to_string().into_bytes(),
            _place: place,
        })
    }

    /// Writes images as an OCI image layout, under these names.
    pub fn export(&self, images: &[(Image, Vec<String>)], out: impl Write) -> Result<(), Error> {
        let mut archive = Archive::new(out);
        archive.put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let mut manifests = Vec::new();
        for (image, names) in images {
            let packed = self.pack(image)?;
            for layer in &packed.layers {
                archive.file(&blob_path(&layer.digest), &layer.path, layer.size)?;
            }
            archive.put(&blob_path(&image.id), &packed.configuration)?;
            let digest = Digest::of(&packed.manifest);
            archive.put(&blob_path(&digest), &packed.manifest)?;
            let settings = &image.settings;
            let descriptor = json!({
                "mediaType": MANIFEST, "digest": digest, "size": packed.manifest.len(),
                "platform": {"architecture": settings.architecture, "os": settings.os},
            });
            if names.is_empty() {
                manifests.push(descriptor.clone());
            }
            for name in names {
                let mut named = descriptor.clone();
                let tag = name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
                named["annotations"] = json!({
                    "io.containerd.image.name": name,
                    "org.opencontainers.image.ref.name": tag,
                });
                manifests.push(named);
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
        });
        archive.put("index.json", index.to_string().as_bytes())?;
        archive.finish()
    }

    fn pack_layer(&self, chain: &Digest, target: &Path) -> Result<PackedLayer, Error> {
        let layer = self.layer(chain);
        let diff_id = self.diff_id(chain);
        let unusable = |source| Error::Export {
            layer: diff_id.unwrap_or(*chain),
            source,
        };
        let outline = File::open(layer.join(OUTLINE)).map_err(unusable)?;
        let mut outline = zstd::Decoder::new(outline).map_err(unusable)?;
        let file = File::create(target).map_err(Error::io("create", target))?;
        let counted = Counted::new(BufWriter::new(file));
        let packer = GzEncoder::new(counted, flate2::Compression::fast());
        let mut plain = Counted::new(packer);
        outline::rebuild(&mut outline, &layer.join("fs"), &mut plain).map_err(unusable)?;
        let (packer, found, _) = plain.finish();
        let counted = packer.finish().map_err(unusable)?;
        let (mut file, digest, size) = counted.finish();
        file.flush().map_err(Error::io("write", target))?;
        if let Some(expected) = diff_id
            && expected != found
        {
            return Err(Error::Digest {
                what: format!("layer {expected}, packed again,"),
                expected,
                found,
            });
        }
        Ok(PackedLayer {
            digest,
            size,
            path: target.to_owned(),
        })
    }
}

/// The file beside an unpacked layer that has its outline.
pub(crate) const OUTLINE: &str = "outline.zst";

/// The outline of a layer while it is unpacked.
pub(crate) type OutlineWriter = zstd::Encoder<'static, BufWriter<File>>;

/// Begins the outline of a layer.
pub(crate) fn begin_outline(layer: &Path) -> io::Result<OutlineWriter> {
    let file = File::create(layer.join(OUTLINE))?;
    zstd::Encoder::new(BufWriter::new(file), 3)
}

/// Ends it.
pub(crate) fn end_outline(writer: OutlineWriter) -> io::Result<()> {
    writer.finish()?.flush()
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Hashes and counts what is written through it.
struct Counted<W> {
    inner: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W: Write> Counted<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::new(),
            bytes: 0,
        }
    }

    fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.bytes)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// An archive that has each member once.
struct Archive<W> {
    writer: Writer<W>,
    written: std::collections::BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    fn new(out: W) -> Self {
        Self {
            writer: Writer::new(out),
            written: Default::default(),
        }
    }

    fn put(&mut self, path: &str, content: &[u8]) -> Result<(), Error> {
        self.stream(path, &mut &content[..], content.len() as u64)
    }

    fn file(&mut self, path: &str, from: &Path, size: u64) -> Result<(), Error> {
        let file = File::open(from).map_err(Error::io("open", from))?;
        self.stream(path, &mut Verifier::new(BufReader::new(file)), size)
    }

    fn stream(&mut self, path: &str, content: &mut dyn Read, size: u64) -> Result<(), Error> {
        if !self.written.insert(path.to_owned()) {
            return Ok(());
        }
        let member = Member::new(path, Kind::File);
        let written = self.writer.append_stream(&member, content, size);
        written.map_err(Error::io("write to the archive", path))
    }

    fn finish(self) -> Result<(), Error> {
        let finished = self.writer.finish().and_then(|mut out| out.flush());
        finished.map_err(Error::io("write", "the archive"))
    }
}
