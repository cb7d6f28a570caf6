//! Texts as the numbers a language model reads, by the tokeniser that comes with the model.
//!
//! Not for models: what they make of the numbers is each framework's own business.

use duet_worker::{Call, Error, Job, Outputs, Registry, Result};
use tokenizers::Tokenizer;

/// Read the tokeniser in data file `name`: the JSON that Hugging Face's libraries write in both languages.
pub fn tokenizer(job: &Job, name: &str) -> Result<Tokenizer> {
    let unusable = |why: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "data file {name:?} holds no tokeniser ({why}); write it with save() of tokenizers"
        ))
    };
    Tokenizer::from_bytes(job.bytes(name)?).map_err(|error| unusable(&error))
}

/// Read the texts in data file `name`: a JSON list of strings.
pub fn texts(job: &Job, name: &str) -> Result<Vec<String>> {
    serde_json::from_slice(&job.bytes(name)?).map_err(|why| {
        Error::invalid(format!("data file {name:?} holds no texts ({why}); write a JSON list of strings"))
    })
}

/// Register how texts are encoded, one after the other, for a framework that has no way of its own.
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

/// All tokens one after the other, and how many each text has.
fn outputs(tokens: &[Vec<u32>]) -> Result<Outputs> {
    let lengths: Result<Vec<i64>, _> = tokens.iter().map(|each| i64::try_from(each.len())).collect();
    let ids: Vec<i64> = tokens.iter().flatten().copied().map(i64::from).collect();
    Ok(Outputs::new().array("tokens", ids).array("lengths", lengths?))
}
