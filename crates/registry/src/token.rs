//! The continue token of a paged list: where the page ended, and which
//! revision it showed. Clients treat it as opaque; ours has upstream's form.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD};
use base64::{DecodeError, alphabet};
use meta::{Status, Value, value};
use store::Revision;

const VERSION: &str = "meta.k8s.io/v1";
/// Go's decoder does not look at the bits that a last letter leaves over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    NO_PAD.with_decode_allow_trailing_bits(true),
);

/// The end of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// What all pages show; none for whatever there is when it is asked for.
    pub(crate) revision: Option<Revision>,
    /// The key of the last item, without the kind's prefix.
    pub(crate) after: String,
}

pub(crate) fn write(token: &Token) -> String {
    let revision = token.revision.map_or(-1, |revision| revision.0 as i64);
    let text = value!({"v": VERSION, "rv": revision, "start": token.after.as_str()});
    URL_SAFE_NO_PAD.encode(text.to_json())
}

/// Follows apiserver's pkg/storage/continue.go, DecodeContinue.
pub(crate) fn read(text: &str) -> Result<Token, Status> {
    let invalid = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
    let bytes = LENIENT
        .decode(text.trim_end_matches('='))
        .map_err(|error| invalid(&in_go(&error)))?;
    let value: Value = codec::json::parse_value(&bytes).map_err(|e| invalid(&e.to_string()))?;
    match value.str_at(&["v"]) {
        VERSION => {}
        other => {
            let why = format!("server does not recognize this encoded version {other}");
            return Err(invalid(&why));
        }
    }
    let revision = match value.i64_at(&["rv"]) {
        Some(rv) if rv < 0 => None,
        Some(rv) if rv > 0 => Some(Revision(rv as u64)),
        _ => {
            let why = format!("incorrect encoded start resourceVersion (version {VERSION})");
            return Err(invalid(&why));
        }
    };
    let after = value.str_at(&["start"]);
    if after.is_empty() {
        let why = format!("encoded start key empty (version {VERSION})");
        return Err(invalid(&why));
    }
    // Nothing in a key may lead out of its kind.
    let parts = after.strip_prefix('/').unwrap_or(after).split('/');
    if parts
        .into_iter()
        .any(|part| matches!(part, "" | "." | ".."))
    {
        return Err(invalid(after));
    }
    Ok(Token {
        revision,
        after: after.into(),
    })
}

fn in_go(error: &DecodeError) -> String {
    let at = match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => *at,
        DecodeError::InvalidLength(length) => *length,
        DecodeError::InvalidPadding => 0,
    };
    format!("illegal base64 data at input byte {at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_there_and_back() {
        for revision in [Some(Revision(7)), None] {
            let token = Token {
                revision,
                after: "default/a".into(),
            };
            assert_eq!(read(&write(&token)).ok(), Some(token));
        }
        let check = |text: &str, expected: &str| {
            let why = read(text).map_err(|status| (status.code, status.message));
            let expected = format!("continue key is not valid: {expected}");
            assert_eq!(why, Err((400, expected)), "{text}");
        };
        check("", "unexpected end of JSON input");
        check("!!!", "illegal base64 data at input byte 0");
        check("e30", "server does not recognize this encoded version ");
        let start = |start: &str| {
            let text = value!({"v": VERSION, "rv": 7, "start": start}).to_json();
            URL_SAFE_NO_PAD.encode(text)
        };
        check(
            &start(""),
            "encoded start key empty (version meta.k8s.io/v1)",
        );
        check(&start("a/../../b"), "a/../../b");
    }
}
