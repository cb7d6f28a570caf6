//! What every worker reads from a GPT-2 job: the sizes of the model, the prompt and the learning rates.
//!
//! Each framework has its own model.

use std::collections::BTreeMap;
use std::time::Instant;

use duet_worker::{Error, Job, Result, Spans};
use serde::Deserialize;

use crate::config;

/// The sizes of a model, under the names in transformers' `config.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Number of blocks.
    #[serde(rename = "n_layer")]
    pub layers: usize,
    /// Size of a token's state.
    #[serde(rename = "n_embd")]
    pub width: usize,
    /// Number of attention heads.
    #[serde(rename = "n_head")]
    pub heads: usize,
    /// Number of tokens that the model can read.
    #[serde(rename = "n_positions")]
    pub positions: usize,
    /// Number of different tokens.
    #[serde(rename = "vocab_size")]
    pub vocabulary: usize,
    /// Size of the inner layer of a block; four times the width by default.
    #[serde(rename = "n_inner")]
    inner: Option<usize>,
    /// The layer norm's protection against division by zero.
    #[serde(rename = "layer_norm_epsilon")]
    pub epsilon: f64,
    activation_function: String,
}

impl Config {
    /// Read the configuration of `job`.
    pub fn read(job: &Job) -> Result<Self> {
        Self::parse(&job.bytes("config")?)
    }

    fn parse(json: &[u8]) -> Result<Self> {
        let config: Self = config::parse(json, "GPT-2", "n_layer")?;
        config::check_activation(&config.activation_function, "gelu_pytorch_tanh")?;
        config::check_heads(config.width, config.heads)?;
        Ok(config)
    }

    /// Return the size of the inner layer of a block.
    pub fn inner(&self) -> usize {
        self.inner.unwrap_or(4 * self.width)
    }
}

/// The prompt and how many tokens to generate.
#[derive(Debug)]
pub struct Task {
    /// The tokens of the prompt.
    pub prompt: Vec<i64>,
    /// Number of tokens to generate.
    pub new_tokens: usize,
}

impl Task {
    /// Read the prompt, the first tokens of one window of text, and check that the model can read it.
    pub fn read(job: &Job, config: &Config) -> Result<Self> {
        let (window, length, new_tokens) =
            (job.usize("window")?, job.usize("prompt")?, job.usize("new_tokens")?);
        let (shape, tokens) = job.array_i64("x_test")?;
        let &[rows, columns] = shape.as_slice() else {
            return Err(Error::invalid(format!(
                "x_test has the shape {shape:?}; write it as windows × tokens"
            )));
        };
        if window >= rows || length > columns || length == 0 || new_tokens == 0 {
            return Err(Error::invalid(format!(
                "window {window} has no prompt of {length} tokens for {new_tokens} new ones: there are {rows} windows of \
                 {columns} tokens; ask for less"
            )));
        }
        if length + new_tokens > config.positions {
            return Err(Error::invalid(format!(
                "{length} + {new_tokens} tokens are more than the {} that the model can read; ask for less",
                config.positions
            )));
        }
        let start = window * columns;
        Ok(Self { prompt: tokens[start..start + length].to_vec(), new_tokens })
    }

    /// Return the work of one call.
    pub fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("tokens".to_owned(), self.new_tokens as u64)])
    }
}

/// Times the first token and the later ones.
pub struct Watch {
    start: Instant,
    first: Option<u64>,
}

impl Watch {
    /// Start timing.
    pub fn start() -> Self {
        Self { start: Instant::now(), first: None }
    }

    /// Record that a token is complete.
    pub fn token(&mut self) {
        if self.first.is_none() {
            self.first = Some(self.nanoseconds());
        }
    }

    /// Return how long the first token took, and all later ones until now.
    pub fn spans(&self) -> Spans {
        let all = self.nanoseconds();
        let first = self.first.unwrap_or(all);
        Spans::from([("first_token".to_owned(), first), ("later_tokens".to_owned(), all - first)])
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Return the work of training on `windows` windows of `length` tokens together.
pub fn training_work(windows: usize, length: usize, steps: usize) -> BTreeMap<String, u64> {
    BTreeMap::from([("tokens".to_owned(), (windows * length) as u64), ("steps".to_owned(), steps as u64)])
}

/// Read the learning rate of each of the first `steps` steps.
pub fn rates(job: &Job, steps: usize) -> Result<Vec<f64>> {
    let (_, rates) = job.array_f32("rates")?;
    let known = rates.len();
    let first = rates.get(..steps).filter(|first| !first.is_empty());
    let first = first.ok_or_else(|| {
        Error::invalid(format!(
            "there are learning rates for {known} steps, but the job asks for {steps}; ask for 1 to {known}"
        ))
    })?;
    Ok(first.iter().copied().map(f64::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"n_layer": 2, "n_embd": 8, "n_head": 2, "n_positions": 16, "vocab_size": 32,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_pytorch_tanh"}"#;

    #[test]
    fn the_configuration_of_transformers_is_read() {
        let config = Config::parse(JSON.as_bytes()).unwrap();
        assert_eq!(
            (2, 8, 2, 16, 32, 32),
            (config.layers, config.width, config.heads, config.positions, config.vocabulary, config.inner())
        );
    }

    #[test]
    fn an_error_names_the_unsupported_setting() {
        let cases = [
            ("gelu_pytorch_tanh", "relu", "relu"),
            ("\"n_head\": 2", "\"n_head\": 3", "3 heads"),
            ("\"n_layer\": 2,", "", "n_layer"),
        ];
        for (word, other, named) in cases {
            let error = Config::parse(JSON.replace(word, other).as_bytes()).unwrap_err();
            assert!(error.message.contains(named), "{}", error.message);
        }
    }

    #[test]
    fn only_the_first_token_sets_the_time_to_the_first_token() {
        let mut watch = Watch::start();
        watch.token();
        let first = watch.spans()["first_token"];
        watch.token();
        assert_eq!(first, watch.spans()["first_token"]);
    }
}
