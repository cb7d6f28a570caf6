//! Why a request could not be done, in the form a driver is told.
//!
//! Not an error type for frameworks: theirs become a [`Error`] of kind `failed` by `?`.

use std::fmt::{self, Display};

use crate::protocol::ErrorKind;

/// The result of everything an implementation does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal or a failure.
///
/// It does not implement [`std::error::Error`] itself, so that every type that does converts into it by `?`.
#[derive(Debug)]
pub struct Error {
    /// What sort of error it is.
    pub kind: ErrorKind,
    /// What happened and what to do about it.
    pub message: String,
}

impl Error {
    /// The job or the request makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into() }
    }

    /// The job makes sense, but not here.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unsupported, message: message.into() }
    }

    /// The framework could not do it.
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
