//! The configuration that transformers writes beside a model's weights, as far as a room reads it.
//!
//! Not for what it means: each room has its own sizes.

use duet_worker::{Error, Result};
use serde::de::DeserializeOwned;

/// Read a configuration of `model` from JSON; `example` is a key that it must have.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8], model: &str, example: &str) -> Result<T> {
    serde_json::from_slice(json).map_err(|why| {
        let what = format!("data file \"config\" is no configuration of {model} ({why})");
        Error::invalid(format!("{what}; write {example} and its kin"))
    })
}

/// Refuse an activation other than `known`, the only one that is computed here.
pub(crate) fn check_activation(activation: &str, known: &str) -> Result<()> {
    if activation == known {
        return Ok(());
    }
    Err(Error::unsupported(format!("activation {activation:?} is not implemented here; use {known}")))
}

/// Refuse a width that the heads cannot share.
pub(crate) fn check_heads(width: usize, heads: usize) -> Result<()> {
    if heads > 0 && width.is_multiple_of(heads) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a width of {width} cannot be shared between {heads} heads; make it a multiple"
    )))
}
