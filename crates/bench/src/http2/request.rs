//! Requests.

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create.
    Post,
    /// Change, by a JSON merge patch.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    /// The spelling on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// How a body of this method is meant.
    pub fn content_type(self) -> &'static str {
        match self {
            Method::Patch => "application/merge-patch+json",
            _ => "application/json",
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// What is sent.
    pub body: Vec<u8>,
}

impl Request {
    /// A read.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path, Vec::new())
    }

    /// A create.
    pub fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::Post, path, body.into())
    }

    /// A removal.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path, Vec::new())
    }

    fn new(method: Method, path: impl Into<String>, body: Vec<u8>) -> Self {
        Request {
            method,
            path: path.into(),
            body,
        }
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method.as_str(), self.path)
    }
}
