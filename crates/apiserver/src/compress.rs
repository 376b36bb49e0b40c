//! Gzip of large answers for clients that take it. Follows apiserver's
//! pkg/endpoints/handlers/responsewriters/writers.go.

use crate::answer::{Answer, Body};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::StreamExt as _;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};
use http::{HeaderMap, StatusCode};
use std::io::{Read as _, Write as _};

/// Smaller answers are not worth it.
const WORTH: usize = 128 * 1024;
/// For what is packed once and sent often.
pub(crate) const SMALL: Compression = Compression::new(6);
/// For what is packed while it is sent.
const QUICK: Compression = Compression::new(1);

/// Whether a client takes gzip.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(ACCEPT_ENCODING).iter();
    let clauses = texts
        .filter_map(|v| v.to_str().ok())
        .flat_map(|t| t.split(','));
    clauses.map(str::trim).any(|clause| {
        let (name, parameters) = clause.split_once(';').unwrap_or((clause, ""));
        name.trim() == "gzip" && !matches!(parameters.trim(), "q=0" | "q=0.0" | "q=0.00")
    })
}

/// Packs a whole text.
pub(crate) fn gzip(content: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 6), level);
    // Writing to memory cannot fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default().into()
}

/// Unpacks what [`gzip`] packed.
pub(crate) fn gunzip(packed: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(packed.len() * 8);
    let _ = GzDecoder::new(packed).read_to_end(&mut out);
    out.into()
}

/// Packs an answer when that is worth it.
pub(crate) async fn answer(is_accepted: bool, mut answer: Answer) -> Answer {
    let is_fit = is_accepted
        && answer.status == StatusCode::OK
        && !answer.headers.contains_key(CONTENT_ENCODING);
    if !is_fit {
        return answer;
    }
    answer.body = match answer.body {
        Body::Full(bytes) if bytes.len() >= WORTH => Body::Full(gzip(&bytes, QUICK)),
        Body::Pieces(mut pieces) => {
            // What is worth it shows in the beginning.
            let mut begun = Vec::new();
            let mut size = 0;
            while size < WORTH {
                let Some(piece) = pieces.next().await else {
                    break;
                };
                size += piece.len();
                begun.push(piece);
            }
            let pieces = futures::stream::iter(begun).chain(pieces);
            if size < WORTH {
                answer.body = Body::Pieces(pieces.boxed());
                return answer;
            }
            let mut encoder = Some(GzEncoder::new(Vec::new(), QUICK));
            let packed = pieces.map(Some).chain(futures::stream::iter([None]));
            let packed = packed.map(move |piece| pack(&mut encoder, piece));
            let pieces = packed.filter(|piece| std::future::ready(!piece.is_empty()));
            Body::Pieces(pieces.boxed())
        }
        body => {
            answer.body = body;
            return answer;
        }
    };
    let headers = &mut answer.headers;
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

/// What comes out as a piece goes in; the end of all when there is none.
fn pack(encoder: &mut Option<GzEncoder<Vec<u8>>>, piece: Option<Bytes>) -> Bytes {
    match piece {
        Some(piece) => match encoder {
            Some(encoder) => {
                let _ = encoder.write_all(&piece);
                std::mem::take(encoder.get_mut()).into()
            }
            None => Bytes::new(),
        },
        None => encoder
            .take()
            .and_then(|encoder| encoder.finish().ok())
            .unwrap_or_default()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_say_whether_they_take_it() {
        for (text, expected) in [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(text));
            assert_eq!(is_accepted(&headers), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn pieces_are_packed_as_one() {
        let pieces: Vec<Bytes> = (0..50)
            .map(|i| Bytes::from(format!("{i:0>9000}")))
            .collect();
        let whole: Vec<u8> = pieces.concat();
        let body = Body::Pieces(futures::stream::iter(pieces).boxed());
        let json = HeaderValue::from_static("application/json");
        let packed = answer(true, Answer::new(StatusCode::OK, json, body)).await;
        assert_eq!(packed.headers[CONTENT_ENCODING], "gzip");
        let Body::Pieces(pieces) = packed.body else {
            panic!("still in pieces");
        };
        let packed: Vec<Bytes> = pieces.collect().await;
        assert_eq!(gunzip(&packed.concat()), whole);
    }
}
