//! The continue token of a paged list: where the page ended, and which
//! revision it showed. Clients treat it as opaque; ours has upstream's form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meta::{Status, Value, value};
use store::Revision;

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
    let text = value!({"v": "meta.k8s.io/v1", "rv": revision, "start": token.after.as_str()});
    URL_SAFE_NO_PAD.encode(text.to_json())
}

pub(crate) fn read(text: &str) -> Result<Token, Status> {
    let invalid = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
    let bytes = URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|e| invalid(&e.to_string()))?;
    let value: Value = codec::json::parse_value(&bytes).map_err(|e| invalid(&e.to_string()))?;
    if value.str_at(&["v"]) != "meta.k8s.io/v1" {
        return Err(invalid("server does not recognize this encoded version"));
    }
    let after = value.str_at(&["start"]);
    let revision = match value.i64_at(&["rv"]) {
        Some(-1) => None,
        Some(rv) if rv > 0 => Some(Revision(rv as u64)),
        _ => {
            return Err(invalid(
                "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ));
        }
    };
    if after.is_empty() || after.split('/').any(|part| part == "..") {
        return Err(invalid("incorrect encoded start key"));
    }
    Ok(Token {
        revision,
        after: after.into(),
    })
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
        for rubbish in ["", "x", "e30", "!!!"] {
            assert_eq!(read(rubbish).map_err(|s| s.code), Err(400), "{rubbish}");
        }
    }
}
