//! Tokenisation: texts as the integers that a language model reads, encoded by the tokeniser that comes with the model.

use duet_worker::{Call, Error, Job, Outputs, Registry, Result};
use tokenizers::Tokenizer;

/// Read the tokeniser in data file `name`, in the JSON format of Hugging Face's libraries.
pub fn tokenizer(job: &Job, name: &str) -> Result<Tokenizer> {
    let unusable = |why: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "data file {name:?} is not a tokeniser ({why}); write it with tokenizers' save()"
        ))
    };
    Tokenizer::from_bytes(job.bytes(name)?).map_err(|error| unusable(&error))
}

/// Read the texts in data file `name`, a JSON list of strings.
pub fn texts(job: &Job, name: &str) -> Result<Vec<String>> {
    serde_json::from_slice(&job.bytes(name)?).map_err(|why| {
        Error::invalid(format!(
            "data file {name:?} is not a list of texts ({why}); write a JSON list of strings"
        ))
    })
}

/// Register the encoding of texts, one after the other, for a framework without a tokeniser of its own.
pub fn register(registry: &mut Registry, task: &str) {
    registry.add(task, "tokenization", "encode", |job| {
        let (tokenizer, texts) = (tokenizer(job, "tokenizer")?, texts(job, "reviews")?);
        let (count, bytes) = (texts.len(), texts.iter().map(String::len).sum());
        let encode = move || encode(&tokenizer, &texts);
        Ok(Call::new(encode, |tokens: &Vec<Vec<u32>>| outputs(tokens))
            .work("texts", count)
            .work("bytes", bytes))
    });
}

fn encode(tokenizer: &Tokenizer, texts: &[String]) -> Result<Vec<Vec<u32>>> {
    let ids = texts.iter().map(|text| Ok(tokenizer.encode_fast(text.as_str(), true)?.get_ids().to_vec()));
    ids.collect::<tokenizers::Result<_>>()
        .map_err(|error| Error::failed(format!("a text cannot be encoded: {error}")))
}

/// Return all tokens one after the other, and the number of tokens of each text.
fn outputs(tokens: &[Vec<u32>]) -> Result<Outputs> {
    let lengths: Result<Vec<i64>, _> = tokens.iter().map(|each| i64::try_from(each.len())).collect();
    let ids: Vec<i64> = tokens.iter().flatten().copied().map(i64::from).collect();
    Ok(Outputs::new().array("tokens", ids).array("lengths", lengths?))
}
