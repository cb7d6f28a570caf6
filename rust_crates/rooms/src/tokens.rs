//! Texts as the numbers a language model reads, by the tokeniser that comes with the model.
//!
//! Not for models: what they make of the numbers is each framework's own business.

use duet_worker::{Error, Job, Result};
use tokenizers::Tokenizer;

/// Read the tokeniser in data file `name`: the JSON that Hugging Face's libraries write in both languages.
pub fn tokenizer(job: &Job, name: &str) -> Result<Tokenizer> {
    let unusable = |why: &dyn std::fmt::Display| {
        Error::invalid(format!("data file {name:?} holds no tokeniser ({why}); write it with save() of tokenizers"))
    };
    Tokenizer::from_bytes(job.bytes(name)?).map_err(|error| unusable(&error))
}
