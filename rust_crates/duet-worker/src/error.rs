//! The error that a driver receives when a request fails; `?` turns a framework's error into one of kind `failed`.

use std::fmt::{self, Display};

use crate::protocol::ErrorKind;

/// The result of everything an implementation does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a request failed.
///
/// It does not implement [`std::error::Error`], so that `?` can convert every type that does.
#[derive(Debug)]
pub struct Error {
    /// The kind of error.
    pub kind: ErrorKind,
    /// What happened, and the remedy.
    pub message: String,
}

impl Error {
    /// Return the error of a job or request that is invalid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }

    /// Return the error of a job that is valid but not supported here.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, message: message.into() }
    }

    /// Return the error of a framework that failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Failed, message: message.into() }
    }
}

impl Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::failed(error.to_string())
    }
}
