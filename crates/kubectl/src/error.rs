//! Why a command failed, in the words and with the exit code of upstream. Follows
//! staging/src/k8s.io/kubectl/pkg/cmd/util/helpers.go (checkErr).

use client::TransportError;
use meta::Value;

/// What went wrong with a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command itself has something to say.
    #[error("{0}")]
    Said(String),
    /// The server refused; the `Status` with what was being done.
    #[error("{}", refusal_words(.0))]
    Refused(Box<Refusal>),
    /// No answer came.
    #[error("{}", transport_words(.source))]
    Transport {
        /// Where the server should be.
        server: String,
        /// Why there is none.
        #[source]
        source: TransportError,
    },
    /// Several things went wrong.
    #[error("{}", many_words(.0))]
    Many(Vec<Error>),
    /// A command that ran elsewhere ended badly: what is said of it, and its own exit code.
    #[error("{words}")]
    Ended {
        /// What is said.
        words: String,
        /// The exit code.
        code: u8,
    },
    /// All has been said; only the exit code is left.
    #[error("exit code {0}")]
    Exit(u8),
}

/// A refusal of the server.
#[derive(Debug)]
pub struct Refusal {
    /// The `Status`.
    pub status: Value,
    /// What was being done: `error when creating "a.yaml": `.
    pub doing: String,
}

/// What a command returns.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// An error of the command's own.
pub fn said<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Said(text.into()))
}

impl Error {
    /// A refusal from a `Status`.
    pub fn refused(status: Value) -> Self {
        let doing = String::new();
        Error::Refused(Box::new(Refusal { status, doing }))
    }

    /// The reason of a refusal.
    pub fn reason(&self) -> &str {
        match self {
            Error::Refused(refusal) => refusal.status.str_at(&["reason"]),
            _ => "",
        }
    }

    /// Whether there is no such object.
    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// The bare message, of the server where it is the server's.
    pub fn message(&self) -> String {
        match self {
            Error::Refused(refusal) => refusal.status.str_at(&["message"]).to_string(),
            other => other.to_string(),
        }
    }

    /// Says what was being done when it failed.
    #[must_use]
    pub fn doing(self, text: &str) -> Self {
        match self {
            Error::Refused(mut refusal) => {
                refusal.doing = format!("{text}: {}", refusal.doing);
                Error::Refused(refusal)
            }
            Error::Said(words) => Error::Said(format!("{text}: {words}")),
            other => other,
        }
    }

    /// As Go writes an aggregate on one line: `[a, b]`.
    pub fn aggregate(&self) -> String {
        match self {
            Error::Many(errors) => {
                let words: Vec<String> = errors.iter().map(Error::to_string).collect();
                format!("[{}]", words.join(", "))
            }
            other => other.to_string(),
        }
    }

    /// One error of several, or none.
    pub fn collect(mut errors: Vec<Error>) -> Result {
        match errors.len() {
            0 => Ok(()),
            1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Error::Many(errors)),
        }
    }

    /// Says it on standard error and gives the exit code.
    pub fn report(&self) -> u8 {
        let text = match self {
            Error::Exit(code) => return *code,
            Error::Ended { words, code } => {
                eprintln!("{}", words.trim_end_matches('\n'));
                return *code;
            }
            Error::Said(text) if text.is_empty() => return 1,
            Error::Said(text) if text.starts_with("error: ") => text.clone(),
            Error::Said(_) => format!("error: {self}"),
            Error::Refused(refusal) => match refusal.status.str_at(&["reason"]) {
                "Invalid" => invalid_words(refusal),
                _ => self.to_string(),
            },
            Error::Transport { server, source } => unreachable_words(server, source),
            Error::Many(_) => self.to_string(),
        };
        eprintln!("{}", text.trim_end_matches('\n'));
        1
    }
}

fn refusal_words(refusal: &Refusal) -> String {
    let status = &refusal.status;
    let message = format!("{}{}", refusal.doing, status.str_at(&["message"]));
    match status.str_at(&["reason"]) {
        "" => format!("Error from server: {message}"),
        "Unauthorized" => "error: You must be logged in to the server (Unauthorized)".into(),
        reason => format!("Error from server ({reason}): {message}"),
    }
}

fn invalid_words(refusal: &Refusal) -> String {
    let status = &refusal.status;
    let kind = status.str_at(&["details", "kind"]);
    let name = status.str_at(&["details", "name"]);
    let causes = status.items_at(&["details", "causes"]);
    let mut head = "The request is invalid".to_string();
    if !kind.is_empty() || !name.is_empty() {
        head = format!("The {kind} {} is invalid", meta::field::quote(name));
    } else if causes.is_empty() {
        head = format!("{head}: {}", status.str_at(&["message"]));
    }
    let mut words: Vec<String> = Vec::new();
    for cause in causes {
        let (field, message) = (cause.str_at(&["field"]), cause.str_at(&["message"]));
        let text = format!("{field}: {message}");
        if !words.contains(&text) {
            words.push(text);
        }
    }
    match words.as_slice() {
        [] => head,
        [one] => format!("{head}: {one}"),
        many => format!("{head}: \n* {}", many.join("\n* ")),
    }
}

fn many_words(errors: &[Error]) -> String {
    let words: Vec<String> = errors
        .iter()
        .filter(|error| !matches!(error, Error::Exit(_)))
        .map(Error::to_string)
        .collect();
    words.join("\n")
}

fn transport_words(source: &TransportError) -> String {
    client::chain(source)
}

fn unreachable_words(server: &str, source: &TransportError) -> String {
    let chain = client::chain(source);
    let host = server
        .split_once("://")
        .map_or(server, |(_, rest)| rest)
        .trim_end_matches('/');
    if chain.to_lowercase().contains("connection refused") {
        return format!(
            "The connection to the server {host} was refused - did you specify the right host or port?"
        );
    }
    if matches!(source, TransportError::Connect { .. }) {
        return format!("Unable to connect to the server: {chain}");
    }
    format!("error: {chain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn refusals_are_worded_as_upstream_words_them() {
        let error = Error::refused(
            value!({"reason": "NotFound", "message": "pods \"a\" not found", "details": {}}),
        );
        assert_eq!(
            error.doing("error when creating \"x\"").to_string(),
            "Error from server (NotFound): error when creating \"x\": pods \"a\" not found"
        );
    }

    #[test]
    fn causes_of_the_invalid_are_listed() {
        let status = value!({"details": {"kind": "Pod", "name": "a", "causes": [
            {"field": "spec.x", "message": "Required value"},
            {"field": "spec.y", "message": "Forbidden"}
        ]}});
        let refusal = Refusal {
            status,
            doing: String::new(),
        };
        assert_eq!(
            invalid_words(&refusal),
            "The Pod \"a\" is invalid: \n* spec.x: Required value\n* spec.y: Forbidden"
        );
    }
}
