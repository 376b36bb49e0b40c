//! How a remote command ended. Follows staging/src/k8s.io/client-go/tools/remotecommand/v4.go.

use crate::error::{Error, Result, said};
use meta::Value;

/// Reads a `Status`; nothing at all is success.
pub(super) fn read(message: &[u8]) -> Result {
    if message.is_empty() {
        return Ok(());
    }
    let status = codec::json::parse_value(message).or_else(|error| {
        let text = String::from_utf8_lossy(message);
        said(format!(
            "error stream protocol error: {error} in {}",
            crate::words::quote(&text)
        ))
    })?;
    match status.str_at(&["status"]) {
        "Success" => Ok(()),
        "Failure" if status.str_at(&["reason"]) == "NonZeroExitCode" => exit_code(&status),
        "Failure" => said(status.str_at(&["message"])),
        _ => said("error stream protocol error: unknown error"),
    }
}

/// Reads the plain words of the first versions.
pub(super) fn read_plain(message: &[u8]) -> Result {
    match message.is_empty() {
        true => Ok(()),
        false => said(format!(
            "error executing remote command: {}",
            String::from_utf8_lossy(message)
        )),
    }
}

fn exit_code(status: &Value) -> Result {
    if status.get("details").is_none_or(Value::is_null) {
        return said("error stream protocol error: details must be set");
    }
    let mut causes = status.items_at(&["details", "causes"]).iter();
    let cause = causes.find(|cause| cause.str_at(&["reason"]) == "ExitCode");
    let Some(cause) = cause else {
        return said("error stream protocol error: no ExitCode cause given");
    };
    let text = cause.str_at(&["message"]);
    match text.parse() {
        Ok(code) => Err(Error::Ended {
            words: format!("command terminated with exit code {code}"),
            code,
        }),
        Err(_) => said(format!(
            "error stream protocol error: invalid exit code value {}",
            crate::words::quote(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_as_upstream_tells_them() {
        let said = |message: &str| match read(message.as_bytes()) {
            Ok(()) => (0, String::new()),
            Err(Error::Ended { words, code }) => (code, words),
            Err(error) => (1, error.to_string()),
        };
        assert_eq!(said(""), (0, "".into()));
        assert_eq!(said(r#"{"status":"Success"}"#), (0, "".into()));
        let ended = |causes: &str| {
            format!(
                r#"{{"status":"Failure","reason":"NonZeroExitCode","details":{{"causes":[{causes}]}}}}"#
            )
        };
        assert_eq!(
            said(&ended(r#"{"reason":"ExitCode","message":"7"}"#)),
            (7, "command terminated with exit code 7".into())
        );
        assert_eq!(
            said(&ended(r#"{"reason":"ExitCode","message":"300"}"#)).1,
            "error stream protocol error: invalid exit code value \"300\""
        );
        assert_eq!(
            said(&ended("")).1,
            "error stream protocol error: no ExitCode cause given"
        );
        assert_eq!(
            said(r#"{"status":"Failure","message":"Internal error occurred: no"}"#),
            (1, "Internal error occurred: no".into())
        );
        assert_eq!(said("{}").1, "error stream protocol error: unknown error");
    }
}
