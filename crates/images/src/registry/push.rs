//! Pushing: what the registry lacks of an image, and then its manifest.
//!
//! Follows the OCI distribution specification, "Pushing": one POST and one
//! PUT per blob.

use std::path::PathBuf;

use ::http::{Method, StatusCode, header};
use futures::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio_util::io::ReaderStream;

use super::{
    Error, PARALLEL, Progress, Remote, Report,
    download::file_error,
    http::{Body, full},
    session::{Asked, Session, join},
};
use crate::{
    Digest, Image, Images, Reference, export,
    keyring::{self, Credentials},
};

/// What is sent: bytes at hand, or a file.
#[derive(Clone)]
enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

struct Blob {
    digest: Digest,
    size: u64,
    content: Content,
}

impl Remote {
    /// Brings an image of the store to the registry of `target`, under that
    /// name. Mirrors are not asked. Answers with the digest of the manifest.
    pub async fn push(
        &self,
        images: &Images,
        image: &Image,
        target: &Reference,
        credentials: &[Credentials],
        report: &Report,
    ) -> Result<Digest, Error> {
        let (store, packed_image) = (images.clone(), image.clone());
        let packed = tokio::task::spawn_blocking(move || store.pack(&packed_image)).await;
        let packed = packed.map_err(|error| {
            file_error("pack the image in", images.directory())(std::io::Error::other(error))
        })??;
        let all = self.credentials(credentials);
        let users = keyring::select(&all, target);
        let endpoint = self.registries.push_endpoint(target);
        let mut last = None;
        for user in self.users(&endpoint, &users) {
            let session =
                Session::new(&self.http, &self.clock, endpoint.clone(), user, "pull,push");
            match send_all(&session, image, &packed, target, report).await {
                Err(error) if error.is_denial() => last = Some(error),
                sent => return sent,
            }
        }
        Err(last.unwrap_or_else(|| Error::NotFound(target.to_string())))
    }
}

async fn send_all(
    session: &Session<'_>,
    image: &Image,
    packed: &export::Packed,
    target: &Reference,
    report: &Report,
) -> Result<Digest, Error> {
    let layers = packed.layers.iter().map(|layer| Blob {
        digest: layer.digest,
        size: layer.size,
        content: Content::File(layer.path.clone()),
    });
    let configuration = Blob {
        digest: image.id,
        size: packed.configuration.len() as u64,
        content: Content::Bytes(packed.configuration.clone()),
    };
    let mut blobs: Vec<Blob> = Vec::new();
    for blob in layers.chain([configuration]) {
        // A registry need not see the same layer twice.
        if !blobs.iter().any(|other| other.digest == blob.digest) {
            blobs.push(blob);
        }
    }
    let sends: Vec<_> = blobs
        .iter()
        .map(|blob| send_blob(session, blob, report))
        .collect();
    stream::iter(sends)
        .buffer_unordered(PARALLEL)
        .try_collect::<()>()
        .await?;
    let name = target.tag().unwrap_or("latest");
    let path = format!("manifests/{name}");
    let body = || full(packed.manifest.clone());
    let mut asked = Asked::new(Method::PUT, &path).header(header::CONTENT_TYPE, export::MANIFEST);
    asked.body = &body;
    session.ask(asked).await?;
    Ok(Digest::of(&packed.manifest))
}

async fn send_blob(session: &Session<'_>, blob: &Blob, report: &Report) -> Result<(), Error> {
    let path = format!("blobs/{}", blob.digest);
    let sent = |done| Progress::Layer {
        digest: blob.digest,
        done,
        total: blob.size,
    };
    match session.ask(Asked::new(Method::HEAD, &path)).await {
        Ok(_) => {
            report(sent(blob.size));
            return Ok(());
        }
        Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    report(sent(0));
    let begun = session
        .ask(Asked::new(Method::POST, "blobs/uploads/"))
        .await?;
    let location = begun.headers().get(header::LOCATION);
    let location = location.and_then(|value| value.to_str().ok());
    let location = location
        .ok_or_else(|| Error::document(session.url("blobs/uploads/"), "it names no location"))?;
    let location = join(&session.url("blobs/uploads/"), location);
    let joint = if location.contains('?') { '&' } else { '?' };
    let location = format!("{location}{joint}digest={}", blob.digest);
    if let Content::File(path) = &blob.content {
        // It is opened anew for each attempt, where errors are late.
        std::fs::File::open(path).map_err(file_error("open", path))?;
    }
    let body = || body(&blob.content);
    let mut asked = Asked::new(Method::PUT, &location)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, blob.size.to_string());
    asked.body = &body;
    let answer = session.ask(asked).await?;
    if answer.status() != StatusCode::CREATED && !answer.status().is_success() {
        return Err(Error::document(location, answer.status()));
    }
    report(sent(blob.size));
    Ok(())
}

fn body(content: &Content) -> Body {
    let path = match content {
        Content::Bytes(bytes) => return full(bytes.clone()),
        Content::File(path) => path.clone(),
    };
    let opened = stream::once(async move { tokio::fs::File::open(path).await });
    let pieces = opened.map_ok(ReaderStream::new).try_flatten();
    StreamBody::new(pieces.map_ok(Frame::data).boxed()).boxed_unsync()
}
