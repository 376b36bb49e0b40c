//! One blob into a file: resumed where it was cut, checked at the end.

use std::path::Path;

use http::{Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{
    Progress, Report,
    error::Error,
    session::{Asked, Session},
};
use crate::{Digest, digest::Hasher, document::Descriptor};

/// Cuts in a row without anything new between them.
const CUTS_MAX: u32 = 5;
/// Cuts at all: a registry that gives little by little has an end, too.
const CUTS_MAX_ALL: u32 = 100;
/// What counts as something new.
const STEP: u64 = 256 * 1024;

/// Brings a blob to `path`.
pub(super) async fn download(
    session: &Session<'_>,
    descriptor: &Descriptor,
    path: &Path,
    report: &Report,
) -> Result<(), Error> {
    let mut part = Part::begin(descriptor, path, report).await?;
    let (mut cuts, mut all) = (0, 0);
    loop {
        let before = part.done;
        let error = match part.read_on(session).await {
            Ok(()) => return part.finish().await,
            Err(Cut::Final(error)) => return Err(error),
            Err(Cut::Passing(error)) => error,
        };
        cuts = if part.done >= before + STEP {
            1
        } else {
            cuts + 1
        };
        all += 1;
        if cuts >= CUTS_MAX || all >= CUTS_MAX_ALL {
            return Err(error);
        }
        report(Progress::Retry {
            digest: descriptor.digest,
            why: error.to_string(),
        });
        let wait = std::time::Duration::from_millis(100) * 2u32.pow(cuts);
        session.clock().sleep(wait).await;
    }
}

/// Why reading stopped before the end.
enum Cut {
    Passing(Error),
    Final(Error),
}

/// A blob that is being read.
struct Part<'a> {
    descriptor: &'a Descriptor,
    report: &'a Report,
    path: &'a Path,
    file: File,
    hasher: Hasher,
    done: u64,
}

impl<'a> Part<'a> {
    async fn begin(
        descriptor: &'a Descriptor,
        path: &'a Path,
        report: &'a Report,
    ) -> Result<Self, Error> {
        let file = File::create(path)
            .await
            .map_err(file_error("create", path))?;
        Ok(Self {
            descriptor,
            report,
            path,
            file,
            hasher: Hasher::new(),
            done: 0,
        })
    }

    /// Asks for what is missing and reads it.
    async fn read_on(&mut self, session: &Session<'_>) -> Result<(), Cut> {
        if self.done == self.descriptor.size && self.done > 0 {
            return Ok(());
        }
        let target = format!("blobs/{}", self.descriptor.digest);
        let mut asked = Asked::get(&target);
        if self.done > 0 {
            asked = asked.header(header::RANGE, format!("bytes={}-", self.done));
        }
        let mut response = session.ask(asked).await.map_err(Cut::Final)?;
        let resumed = resumes_at(&response, self.done);
        if self.done > 0 && !resumed {
            self.restart().await.map_err(Cut::Final)?;
            if response.status() != StatusCode::OK {
                return Err(Cut::Passing(self.size()));
            }
        }
        loop {
            let chunk = session.http().chunk(response.body_mut()).await;
            let data = match chunk {
                Ok(Some(data)) => data,
                Ok(None) => break,
                Err(failure) => {
                    return Err(Cut::Passing(Error::Request {
                        method: http::Method::GET,
                        url: session.url(&target),
                        why: format!(
                            "after {} of {} bytes: {failure}",
                            self.done, self.descriptor.size
                        ),
                        transient: true,
                        plain: false,
                    }));
                }
            };
            self.take(&data).await.map_err(Cut::Final)?;
        }
        if self.done < self.descriptor.size {
            return Err(Cut::Passing(self.size()));
        }
        Ok(())
    }

    async fn take(&mut self, data: &[u8]) -> Result<(), Error> {
        self.done += data.len() as u64;
        if self.done > self.descriptor.size {
            return Err(self.size());
        }
        self.hasher.update(data);
        let written = self.file.write_all(data).await;
        written.map_err(file_error("write", self.path))?;
        (self.report)(Progress::Layer {
            digest: self.descriptor.digest,
            done: self.done,
            total: self.descriptor.size,
        });
        Ok(())
    }

    /// A registry that cannot resume sends all of it again.
    async fn restart(&mut self) -> Result<(), Error> {
        let file = File::create(self.path).await;
        self.file = file.map_err(file_error("create", self.path))?;
        self.hasher = Hasher::new();
        self.done = 0;
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Error> {
        let flushed = self.file.flush().await;
        flushed.map_err(file_error("write", self.path))?;
        check(self.descriptor, self.hasher.finish())
    }

    fn size(&self) -> Error {
        Error::Size {
            what: format!("blob {}", self.descriptor.digest),
            expected: self.descriptor.size,
            found: self.done,
        }
    }
}

/// Whether an answer goes on at `offset`.
fn resumes_at(response: &Response<Incoming>, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    let range = range
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    response.status() == StatusCode::PARTIAL_CONTENT
        && range.starts_with(&format!("bytes {offset}-"))
}

pub(super) fn check(descriptor: &Descriptor, found: Digest) -> Result<(), Error> {
    if found == descriptor.digest {
        return Ok(());
    }
    Err(Error::Digest {
        what: "content".to_owned(),
        expected: descriptor.digest,
        found,
    })
}

pub(super) fn file_error(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        operation,
        path,
        source,
    }
}
