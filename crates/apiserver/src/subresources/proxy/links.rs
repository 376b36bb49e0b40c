//! What leads somewhere in an answer that came through a proxy leads there
//! through the proxy. Follows apimachinery/pkg/util/proxy/transport.go.

use super::html::{Html, Relink};
use crate::answer::{Answer, Body};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateDecoder, DeflateEncoder, GzEncoder, MultiGzDecoder};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{HeaderName, HeaderValue, header};
use std::io::{self, Write as _};

/// Who else may read an answer is not for what is proxied to say. Follows
/// corsRemovingTransport of apimachinery/pkg/util/proxy/upgradeaware.go.
const PERMISSIONS: [HeaderName; 4] = [
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
];

type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// Whose links are rewritten, and how.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// Where the proxy is entered: `/api/v1/namespaces/a/pods/b/proxy`.
    pub(super) entrance: String,
    /// The server behind it, `10.0.0.1:80`.
    pub(super) authority: String,
    /// What the client calls this server.
    pub(super) host: String,
}

impl Links {
    /// Rewrites where an answer redirects to, or else the links of its page.
    pub(super) fn lead_back(self, mut answer: Answer) -> Answer {
        for permission in PERMISSIONS {
            answer.headers.remove(permission);
        }
        if let Some(place) = answer.headers.get(header::LOCATION).cloned() {
            let place = place.to_str().ok().and_then(|place| self.back(place));
            if let Some(place) = place.and_then(|place| HeaderValue::from_str(&place).ok()) {
                answer.headers.insert(header::LOCATION, place);
            }
            return answer;
        }
        let text = |name| answer.headers.get(name).and_then(|v| v.to_str().ok());
        let kind = text(header::CONTENT_TYPE).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("text/html") {
            return answer;
        }
        let encoding = text(header::CONTENT_ENCODING).unwrap_or_default();
        let Some(coding) = Coding::of(encoding) else {
            tracing::debug!(
                encoding,
                "a page is packed in an unknown way and stays as it is"
            );
            return answer;
        };
        answer.body = match answer.body {
            Body::Foreign(pieces) => {
                let relink = Box::new(move |link: &str| self.back(link));
                Body::Foreign(rewritten(pieces, Page::new(coding, relink)))
            }
            body => body,
        };
        answer
    }

    /// Where a link leads when it is followed through the proxy; `None` when it
    /// leads elsewhere or is right already.
    fn back(&self, place: &str) -> Option<String> {
        let (scheme, rest) = scheme(place);
        let (whose, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                rest.split_at(end)
            }
            None if scheme.is_empty() => ("", rest),
            None => return None,
        };
        let is_here = whose.is_empty() || whose == self.authority || whose == self.host;
        if !is_here || !path.starts_with('/') {
            return None;
        }
        // Who is called as the client calls this server is left so.
        let start = match !whose.is_empty() && whose == self.host {
            true => &place[..place.len() - path.len()],
            false => "",
        };
        let entrance = match path.starts_with(&self.entrance) {
            true => "",
            false => &self.entrance,
        };
        let new = format!("{start}{entrance}{path}");
        (new != place).then_some(new)
    }
}

/// `https:` apart from what follows it, if it is there.
fn scheme(place: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let end = place.find(|c: char| !is_part(c)).unwrap_or(place.len());
    let is_scheme =
        place[end..].starts_with(':') && place.starts_with(|c: char| c.is_ascii_alphabetic());
    match is_scheme {
        true => place.split_at(end + 1),
        false => ("", place),
    }
}

/// How a page is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Deflate,
}

impl Coding {
    fn of(encoding: &str) -> Option<Coding> {
        match encoding {
            "" => Some(Coding::Plain),
            "gzip" => Some(Coding::Gzip),
            "deflate" => Some(Coding::Deflate),
            _ => None,
        }
    }
}

/// Unpacks a page, rewrites its links and packs it again while it passes.
struct Page {
    began: bool,
    html: Html,
    packing: Packing,
}

enum Packing {
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>, Box<GzEncoder<Vec<u8>>>),
    Deflate(Box<DeflateDecoder<Vec<u8>>>, Box<DeflateEncoder<Vec<u8>>>),
}

impl Page {
    fn new(coding: Coding, relink: Relink) -> Page {
        let level = Compression::default();
        let packing = match coding {
            Coding::Plain => Packing::None,
            Coding::Gzip => Packing::Gzip(
                Box::new(MultiGzDecoder::new(Vec::new())),
                Box::new(GzEncoder::new(Vec::new(), level)),
            ),
            Coding::Deflate => Packing::Deflate(
                Box::new(DeflateDecoder::new(Vec::new())),
                Box::new(DeflateEncoder::new(Vec::new(), level)),
            ),
        };
        Page {
            began: false,
            html: Html::new(relink),
            packing,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.began |= !bytes.is_empty();
        match &mut self.packing {
            Packing::None => Ok(self.html.push(bytes)),
            Packing::Gzip(unpack, pack) => {
                unpack.write_all(bytes)?;
                pack.write_all(&self.html.push(&std::mem::take(unpack.get_mut())))?;
                Ok(std::mem::take(pack.get_mut()))
            }
            Packing::Deflate(unpack, pack) => {
                unpack.write_all(bytes)?;
                pack.write_all(&self.html.push(&std::mem::take(unpack.get_mut())))?;
                Ok(std::mem::take(pack.get_mut()))
            }
        }
    }

    /// What comes last. An answer without a body, as to HEAD, has no end either.
    fn finish(&mut self) -> io::Result<Vec<u8>> {
        if !self.began {
            return Ok(Vec::new());
        }
        match &mut self.packing {
            Packing::None => Ok(self.html.finish()),
            Packing::Gzip(unpack, pack) => {
                unpack.try_finish()?;
                pack.write_all(&self.html.push(&std::mem::take(unpack.get_mut())))?;
                pack.write_all(&self.html.finish())?;
                pack.try_finish()?;
                Ok(std::mem::take(pack.get_mut()))
            }
            Packing::Deflate(unpack, pack) => {
                unpack.try_finish()?;
                pack.write_all(&self.html.push(&std::mem::take(unpack.get_mut())))?;
                pack.write_all(&self.html.finish())?;
                pack.try_finish()?;
                Ok(std::mem::take(pack.get_mut()))
            }
        }
    }
}

fn rewritten(pieces: Pieces, page: Page) -> Pieces {
    let state = Some((pieces, page));
    let next = |state: Option<(Pieces, Page)>| async move {
        let (mut pieces, mut page) = state?;
        loop {
            let made = match pieces.next().await {
                Some(Ok(piece)) => page.push(&piece),
                Some(Err(error)) => Err(error),
                None => return Some((page.finish().map(Bytes::from), None)),
            };
            match made {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some((Ok(Bytes::from(bytes)), Some((pieces, page)))),
                Err(error) => return Some((Err(error), None)),
            }
        }
    };
    stream::unfold(state, next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt as _;
    use http::StatusCode;
    use std::io::Read as _;

    fn links() -> Links {
        Links {
            entrance: "/api/v1/x/proxy".into(),
            authority: "10.0.0.1:80".into(),
            host: "api:6443".into(),
        }
    }

    #[test]
    fn links_lead_back_through_the_proxy() {
        for (place, expected) in [
            ("/a/b/?c=d", Some("/api/v1/x/proxy/a/b/?c=d")),
            (
                "/?next=http://elsewhere/",
                Some("/api/v1/x/proxy/?next=http://elsewhere/"),
            ),
            ("/api/v1/x/proxy/a", None),
            ("http://10.0.0.1:80/a", Some("/api/v1/x/proxy/a")),
            ("//10.0.0.1:80/a#b", Some("/api/v1/x/proxy/a#b")),
            (
                "http://api:6443/a",
                Some("http://api:6443/api/v1/x/proxy/a"),
            ),
            ("https://api:6443/api/v1/x/proxy/a", None),
            (
                "http://10.0.0.1:80/api/v1/x/proxy/a",
                Some("/api/v1/x/proxy/a"),
            ),
            ("http://elsewhere/a", None),
            ("//elsewhere/a", None),
            ("http://10.0.0.1:80", None),
            ("a/b", None),
            ("?a=/b", None),
            ("#a", None),
            ("mailto:/a", None),
            ("data:text/html,/a", None),
            ("", None),
        ] {
            assert_eq!(links().back(place).as_deref(), expected, "{place}");
        }
    }

    async fn through(kind: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
        let pieces: Vec<_> = body
            .chunks(7)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let mut answer = Answer::text(StatusCode::OK, "");
        answer.headers.remove(header::CONTENT_TYPE);
        answer = answer.with("content-type", kind);
        if !encoding.is_empty() {
            answer = answer.with("content-encoding", encoding);
        }
        answer.body = Body::Foreign(stream::iter(pieces).boxed());
        let Body::Foreign(pieces) = links().lead_back(answer).body else {
            panic!("another body");
        };
        let pieces: Vec<Bytes> = pieces.try_collect().await.unwrap();
        pieces.concat()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        crate::compress::gzip(text, Compression::default()).to_vec()
    }

    #[tokio::test]
    async fn pages_are_rewritten_however_they_are_packed() {
        let before = br#"<p>one</p><a href="/a">two</a>"#.repeat(500);
        let after = br#"<p>one</p><a href="/api/v1/x/proxy/a">two</a>"#.repeat(500);
        let html = "text/html; charset=utf-8";
        assert!(through(html, "", &before).await == after);
        for kind in ["text/plain", "application/xhtml+xml", "text/html5"] {
            assert!(through(kind, "", &before).await == before, "{kind}");
        }
        assert!(through(html, "br", &before).await == before);
        let mut read = Vec::new();
        let packed = through(html, "gzip", &gzip(&before)).await;
        let mut unpack = flate2::read::GzDecoder::new(&*packed);
        unpack.read_to_end(&mut read).unwrap();
        assert!(read == after);
        let mut pack = DeflateEncoder::new(Vec::new(), Compression::default());
        pack.write_all(&before).unwrap();
        let packed = through(html, "deflate", &pack.finish().unwrap()).await;
        let mut read = Vec::new();
        let mut unpack = flate2::read::DeflateDecoder::new(&*packed);
        unpack.read_to_end(&mut read).unwrap();
        assert!(read == after);
        // As an answer to HEAD is.
        assert_eq!(through(html, "gzip", b"").await, b"");
    }

    #[tokio::test]
    async fn pages_that_break_off_are_broken() {
        let packed = gzip(b"<a href='/a'>");
        for broken in [&packed[..packed.len() - 9], b"no gzip at all"] {
            let piece = Ok(Bytes::copy_from_slice(broken));
            let page = Page::new(Coding::Gzip, Box::new(|_| None));
            let pieces = rewritten(stream::iter([piece]).boxed(), page);
            assert!(pieces.try_collect::<Vec<_>>().await.is_err());
        }
    }

    #[test]
    fn redirections_have_no_page() {
        let answer = Answer::text(StatusCode::FOUND, "")
            .with("content-type", "text/html")
            .with("access-control-allow-origin", "*")
            .with("location", "/login");
        let answer = links().lead_back(answer);
        assert_eq!(answer.headers["location"], "/api/v1/x/proxy/login");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}
