//! Reading the configuration that transformers saves beside a model's weights.

use duet_worker::{Error, Result};
use serde::de::DeserializeOwned;

/// Parse a configuration of `model` from JSON; the error names `example`, a key that it must have.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8], model: &str, example: &str) -> Result<T> {
    serde_json::from_slice(json).map_err(|why| {
        let what = format!("data file \"config\" is not a configuration of {model} ({why})");
        Error::invalid(format!("{what}; write {example} and the other sizes"))
    })
}

/// Return an error for an activation other than `known`, the only one implemented.
pub(crate) fn check_activation(activation: &str, known: &str) -> Result<()> {
    if activation == known {
        return Ok(());
    }
    Err(Error::unsupported(format!("activation {activation:?} is not implemented here; use {known}")))
}

/// Return an error for a width that does not divide evenly among the heads.
pub(crate) fn check_heads(width: usize, heads: usize) -> Result<()> {
    if heads > 0 && width.is_multiple_of(heads) {
        return Ok(());
    }
    Err(Error::invalid(format!("a width of {width} does not divide among {heads} heads; make it a multiple")))
}
