//! What every worker reads of a job of BERT: the sizes of the encoder, and what of it is learnt.
//!
//! Not for the encoder itself, which each framework computes in its own way.

use duet_worker::{Error, Job, Result};
use serde::Deserialize;

use crate::config;

/// The sizes of an encoder, as transformers' `config.json` calls them.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// How many layers there are.
    #[serde(rename = "num_hidden_layers")]
    pub layers: usize,
    /// How many heads attend.
    #[serde(rename = "num_attention_heads")]
    pub heads: usize,
    /// How many numbers stand for a token.
    #[serde(rename = "hidden_size")]
    pub width: usize,
    /// What keeps the layer norm from dividing by zero.
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
                "an encoder without layers has none to learn; write num_hidden_layers",
            ));
        }
        Ok(config)
    }

    /// The name under which the weights of a layer stand.
    pub fn layer(number: usize) -> String {
        format!("encoder.layer.{number}")
    }

    /// The number of the last layer, the only one that is learnt.
    pub fn last(&self) -> usize {
        self.layers - 1
    }

    /// Say whether the weight `name` is learnt: those of the last layer and of the head are.
    pub fn is_learnt(&self, name: &str) -> bool {
        name.starts_with("head.") || name.starts_with(&format!("{}.", Self::layer(self.last())))
    }
}

/// Say whether the head reads the mean of all tokens, not each.
pub fn is_pooled(job: &Job) -> bool {
    job.algorithm() == "sentiment"
}

/// The name of the held-out texts, cut or padded to as many tokens as `job` says.
pub fn held_out(job: &Job) -> Result<String> {
    Ok(format!("{}_test_{}", job.algorithm(), job.usize("tokens")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu"}"#;

    #[test]
    fn the_last_layer_and_the_head_are_learnt() {
        let config = Config::parse(JSON.as_bytes()).unwrap();
        let learnt = ["encoder.layer.1.output.dense.bias", "head.weight"];
        let fixed =
            ["encoder.layer.0.output.dense.bias", "encoder.layer.10.output.dense.bias", "embeddings.x"];
        assert!(learnt.iter().all(|name| config.is_learnt(name)));
        assert!(!fixed.iter().any(|name| config.is_learnt(name)));
    }

    #[test]
    fn what_cannot_be_computed_is_refused_by_name() {
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
