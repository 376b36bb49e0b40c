//! From a name to an image: manifests, the choice of a platform, and the
//! configuration.

use http::header;

use super::{
    download::check,
    error::Error,
    session::{Asked, Session},
};
use crate::{
    Digest, Reference,
    document::{Configuration, DOCUMENT_MAX, Descriptor, Index, Manifest, Platform},
    source::{Candidate, Layer},
};

/// Indexes within indexes that are followed.
const NESTED_MAX: usize = 4;

pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image as a registry has it.
pub(super) struct Resolved {
    pub candidate: Candidate,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// Finds the image of a name for a platform.
pub(super) async fn resolve(
    session: &Session<'_>,
    reference: &Reference,
    platform: &Platform,
) -> Result<Resolved, Error> {
    let top = top(session, reference).await?;
    let (digest, content) = (top.digest, top.content.clone());
    let manifest = pick(session, top, platform).await?;
    let what = format!("manifest {}", manifest.digest);
    let read: Manifest = parse(&what, &manifest.content)?;
    let configuration_bytes = document(session, "config", &read.config).await?;
    let what = format!("config {}", read.config.digest);
    let configuration: Configuration = parse(&what, &configuration_bytes)?;
    let layers = read.layers.iter().map(layer).collect::<Result<_, _>>()?;
    Ok(Resolved {
        candidate: Candidate {
            references: vec![reference.canonical()],
            manifest: Some((digest, content)),
            id: read.config.digest,
            configuration_bytes,
            configuration,
            layers,
        },
        layers: read.layers,
    })
}

/// A manifest or an index, verified.
struct Document {
    digest: Digest,
    media_type: String,
    content: Vec<u8>,
}

async fn top(session: &Session<'_>, reference: &Reference) -> Result<Document, Error> {
    let wanted = reference.digest();
    let tag = reference.tag().unwrap_or("latest");
    let name = wanted.map_or_else(|| tag.to_owned(), |digest| digest.to_string());
    let document = manifest(session, &name).await;
    let document = document.map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound(reference.to_string()),
        other => other,
    })?;
    match wanted {
        Some(expected) if expected != document.digest => Err(Error::Digest {
            what: reference.to_string(),
            expected,
            found: document.digest,
        }),
        _ => Ok(document),
    }
}

async fn manifest(session: &Session<'_>, name: &str) -> Result<Document, Error> {
    let target = format!("manifests/{name}");
    let accept = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST].join(", ");
    let asked = Asked::get(&target).header(header::ACCEPT, accept);
    let mut response = session.ask(asked).await?;
    let text = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        )
    };
    let (stated, header_type) = (text("docker-content-digest"), text("content-type"));
    let content = body(session, &mut response, &target).await?;
    let digest = Digest::of(&content);
    if let Some(expected) = stated.and_then(|stated| stated.parse().ok())
        && expected != digest
    {
        return Err(Error::Digest {
            what: session.url(&target),
            expected,
            found: digest,
        });
    }
    let media_type = media_type(&target, &content, header_type.unwrap_or_default())?;
    Ok(Document {
        digest,
        media_type,
        content,
    })
}

/// What a document says of itself goes before what is said about it.
fn media_type(what: &str, content: &[u8], header: String) -> Result<String, Error> {
    let value: serde_json::Value =
        serde_json::from_slice(content).map_err(|error| Error::document(what, error))?;
    let own = value.get("mediaType").and_then(|own| own.as_str());
    let known = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST];
    let found = own.map_or(header, str::to_owned);
    if known.contains(&found.as_str()) {
        return Ok(found);
    }
    if value.get("schemaVersion") == Some(&1.into()) {
        return Err(Error::MediaType {
            what: what.to_owned(),
            media_type: "application/vnd.docker.distribution.manifest.v1+prettyjws".to_owned(),
        });
    }
    match (value.get("manifests"), value.get("layers")) {
        (Some(_), None) => Ok(OCI_INDEX.to_owned()),
        (None, Some(_)) => Ok(OCI_MANIFEST.to_owned()),
        _ => Err(Error::MediaType {
            what: what.to_owned(),
            media_type: found,
        }),
    }
}

/// Goes through indexes to the manifest that suits the platform best.
async fn pick(
    session: &Session<'_>,
    top: Document,
    platform: &Platform,
) -> Result<Document, Error> {
    let mut document = top;
    for _ in 0..=NESTED_MAX {
        if !matches!(document.media_type.as_str(), OCI_INDEX | DOCKER_INDEX) {
            return Ok(document);
        }
        let what = format!("index {}", document.digest);
        let index: Index = parse(&what, &document.content)?;
        let chosen = choose(&index, platform)?;
        let next = manifest(session, &chosen.digest.to_string()).await?;
        check(chosen, next.digest)?;
        document = next;
    }
    Err(Error::Nested(NESTED_MAX))
}

/// Plain amd64 goes before amd64/v3, which this processor may not be.
fn choose<'a>(index: &'a Index, platform: &Platform) -> Result<&'a Descriptor, Error> {
    let suits = |one: &&Descriptor| {
        let known = one.is_index() || one.is_manifest();
        known
            && one
                .platform
                .as_ref()
                .is_none_or(|own| own.runs_on(platform))
    };
    let rank = |one: &&Descriptor| match &one.platform {
        Some(own) => u8::from(!own.variant.is_empty()),
        None => 2,
    };
    let best = index.manifests.iter().filter(suits).min_by_key(rank);
    best.ok_or_else(|| {
        let platforms = index
            .manifests
            .iter()
            .filter_map(|one| one.platform.as_ref());
        let found: Vec<String> = platforms.map(ToString::to_string).collect();
        Error::Platform {
            found: found.join(", "),
            here: platform.to_string(),
        }
    })
}

fn layer(descriptor: &Descriptor) -> Result<Layer, Error> {
    let media_type = &descriptor.media_type;
    let known = media_type.is_empty()
        || media_type.starts_with("application/vnd.oci.image.layer.")
        || media_type.starts_with("application/vnd.docker.image.rootfs.");
    if !known || media_type.ends_with("+encrypted") {
        return Err(Error::MediaType {
            what: format!("layer {}", descriptor.digest),
            media_type: media_type.clone(),
        });
    }
    Ok(Layer {
        name: format!("layer {}", descriptor.digest),
        digest: Some(descriptor.digest),
        size: Some(descriptor.size),
    })
}

/// A small blob, verified.
async fn document(
    session: &Session<'_>,
    what: &str,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, Error> {
    let target = format!("blobs/{}", descriptor.digest);
    let mut last = None;
    // A cut connection is asked again; anything else is final.
    for _ in 0..3 {
        let mut response = session.ask(Asked::get(&target)).await?;
        match body(session, &mut response, &target).await {
            Ok(content) => {
                if content.len() as u64 != descriptor.size {
                    return Err(Error::Size {
                        what: format!("{what} {}", descriptor.digest),
                        expected: descriptor.size,
                        found: content.len() as u64,
                    });
                }
                check(descriptor, Digest::of(&content))?;
                return Ok(content);
            }
            Err(
                error @ Error::Request {
                    transient: true, ..
                },
            ) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::NotFound(target)))
}

async fn body(
    session: &Session<'_>,
    response: &mut http::Response<hyper::body::Incoming>,
    target: &str,
) -> Result<Vec<u8>, Error> {
    let read = session
        .http()
        .whole(response.body_mut(), DOCUMENT_MAX)
        .await;
    let (content, is_whole) = read.map_err(|failure| Error::Request {
        method: http::Method::GET,
        url: session.url(target),
        why: failure.to_string(),
        transient: true,
        plain: false,
    })?;
    if !is_whole {
        return Err(Error::TooLarge {
            what: session.url(target),
            max: DOCUMENT_MAX,
        });
    }
    Ok(content)
}

fn parse<T: serde::de::DeserializeOwned>(what: &str, content: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(content).map_err(|error| Error::document(what, error))
}
