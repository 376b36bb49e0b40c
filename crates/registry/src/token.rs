//! The continue token of a paged list: where the page ended, and which
//! revision it showed. Clients treat it as opaque; ours has upstream's form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meta::{Status, Value, value};
use store::Revision;

/// The end of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// What all pages show; zero for the present.
    pub(crate) revision: Revision,
    /// The key of the last item, without the kind's prefix.
    pub(crate) after: String,
}

pub(crate) fn write(token: &Token) -> String {
    let text = value!({"v": "meta.k8s.io/v1", "rv": token.revision.0 as i64, "start": token.after.as_str()});
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
    let revision = value.i64_at(&["rv"]).and_then(|rv| u64::try_from(rv).ok());
    let Some(revision) = revision else {
        return Err(invalid("incorrect encoded start resourceVersion"));
    };
    if after.is_empty() || after.split('/').any(|part| part == "..") {
        return Err(invalid("incorrect encoded start key"));
    }
    Ok(Token {
        revision: Revision(revision),
        after: after.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_there_and_back() {
        let token = Token {
            revision: Revision(7),
            after: "default/a".into(),
        };
        assert_eq!(read(&write(&token)).ok(), Some(token));
        for rubbish in ["", "x", "e30", "!!!"] {
            assert_eq!(read(rubbish).map_err(|s| s.code), Err(400), "{rubbish}");
        }
    }
}
