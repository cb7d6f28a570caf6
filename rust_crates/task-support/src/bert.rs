//! What every worker reads from a BERT job: the sizes of the encoder and which of its weights are trainable.
//!
//! Each framework has its own encoder.

use std::collections::BTreeMap;

use duet_worker::{Error, Job, Result};
use serde::Deserialize;

use crate::config;

/// The algorithms that put a head on the encoder.
pub const HEADS: [&str; 2] = ["sentiment", "question_answering"];

/// The sizes of an encoder, under the names in transformers' `config.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Number of layers.
    #[serde(rename = "num_hidden_layers")]
    pub layers: usize,
    /// Number of attention heads.
    #[serde(rename = "num_attention_heads")]
    pub heads: usize,
    /// Size of a token's state.
    #[serde(rename = "hidden_size")]
    pub width: usize,
    /// The layer norm's protection against division by zero.
    #[serde(rename = "layer_norm_eps")]
    pub epsilon: f64,
    hidden_act: String,
}

impl Config {
    /// Read the configuration of `job`.
    pub fn read(job: &Job) -> Result<Self> {
        Self::parse(&job.bytes("config")?)
    }

    fn parse(json: &[u8]) -> Result<Self> {
        let config: Self = config::parse(json, "BERT", "num_hidden_layers")?;
        config::check_activation(&config.hidden_act, "gelu")?;
        config::check_heads(config.width, config.heads)?;
        if config.layers == 0 {
            return Err(Error::invalid(
                "the encoder has no layers, so none is trainable; set num_hidden_layers to 1 or more",
            ));
        }
        Ok(config)
    }

    /// Return the prefix of the names of a layer's weights.
    pub fn layer(number: usize) -> String {
        format!("encoder.layer.{number}")
    }

    /// Return the number of the last layer, the only trainable one.
    pub fn last(&self) -> usize {
        self.layers - 1
    }

    /// Return whether the weight `name` is trainable: the weights of the last layer and of the head are.
    pub fn is_trainable(&self, name: &str) -> bool {
        name.starts_with("head.") || name.starts_with(&format!("{}.", Self::layer(self.last())))
    }
}

/// Return whether the head reads the mean of all tokens instead of each token.
pub fn is_pooled(job: &Job) -> bool {
    job.algorithm() == "sentiment"
}

/// Return the name of the held-out texts, cut or padded to the number of tokens that `job` asks for.
pub fn held_out(job: &Job) -> Result<String> {
    Ok(format!("{}_test_{}", job.algorithm(), job.usize("tokens")?))
}

/// Return the work of training on `samples` texts of `tokens` tokens together.
pub fn training_work(samples: usize, tokens: usize, steps: usize) -> BTreeMap<String, u64> {
    let work = [("samples", samples), ("tokens", tokens), ("steps", steps)];
    work.map(|(unit, amount)| (unit.to_owned(), amount as u64)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu"}"#;

    #[test]
    fn the_last_layer_and_the_head_are_trainable() {
        let config = Config::parse(JSON.as_bytes()).unwrap();
        let trainable = ["encoder.layer.1.output.dense.bias", "head.weight"];
        let fixed =
            ["encoder.layer.0.output.dense.bias", "encoder.layer.10.output.dense.bias", "embeddings.x"];
        assert!(trainable.iter().all(|name| config.is_trainable(name)));
        assert!(!fixed.iter().any(|name| config.is_trainable(name)));
    }

    #[test]
    fn an_error_names_the_unsupported_setting() {
        let cases = [
            ("gelu", "relu", "relu"),
            ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "3 heads"),
            ("\"num_hidden_layers\": 2,", "", "num_hidden_layers"),
        ];
        for (word, other, named) in cases {
            let error = Config::parse(JSON.replace(word, other).as_bytes()).unwrap_err();
            assert!(error.message.contains(named), "{}", error.message);
        }
    }
}
