//! The GPT-2 model and its cache of keys and values.

use duet_worker::Result;
use task_support::gpt2::Config;
use tch::nn::{self, Init, Path};
use tch::{Device, Kind, Tensor};

use crate::tensors::{self, Weights};

/// A GPT-2 model.
pub(super) struct Model {
    pub(super) config: Config,
    words: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    last: Norm,
}

impl Model {
    /// Build a model with copies of `weights`; return its variables too.
    pub(super) fn new(config: &Config, weights: &Weights, device: Device) -> Result<(nn::VarStore, Self)> {
        let variables = nn::VarStore::new(device);
        let root = variables.root();
        let [width, inner] = sizes([config.width, config.inner()])?;
        let [vocabulary, positions] = sizes([config.vocabulary, config.positions])?;
        let block = |layer: usize| {
            let path = &root / "h" / layer;
            Block {
                before_attention: Norm::new(&(&path / "ln_1"), width, config.epsilon),
                attention: Linear::new(&(&path / "attn" / "c_attn"), width, 3 * width),
                attended: Linear::new(&(&path / "attn" / "c_proj"), width, width),
                before_inner: Norm::new(&(&path / "ln_2"), width, config.epsilon),
                into_inner: Linear::new(&(&path / "mlp" / "c_fc"), width, inner),
                out_of_inner: Linear::new(&(&path / "mlp" / "c_proj"), inner, width),
            }
        };
        let model = Self {
            words: variable(&(&root / "wte"), "weight", &[vocabulary, width]),
            positions: variable(&(&root / "wpe"), "weight", &[positions, width]),
            blocks: (0..config.layers).map(block).collect(),
            last: Norm::new(&(&root / "ln_f"), width, config.epsilon),
            config: config.clone(),
        };
        tensors::copy_into(&variables, weights)?;
        Ok((variables, model))
    }

    /// Return the logits (windows × positions × vocabulary) of `tokens` (windows × positions).
    pub(super) fn read(&self, tokens: &Tensor) -> Tensor {
        self.head(&self.hidden(tokens, &mut None))
    }

    /// Return the logits (1 × vocabulary) of the token after `tokens` (1 × positions), which follow those in `cache`.
    pub(super) fn next(&self, tokens: &Tensor, cache: &mut Option<Cache>) -> Tensor {
        self.head(&self.hidden(tokens, cache).narrow(1, -1, 1)).select(1, 0)
    }

    /// Return the logits of some states; the head shares the embedding's weights.
    fn head(&self, hidden: &Tensor) -> Tensor {
        hidden.linear::<Tensor>(&self.words, None)
    }

    fn hidden(&self, tokens: &Tensor, cache: &mut Option<Cache>) -> Tensor {
        let (length, past) = (tokens.size()[1], cache.as_ref().map_or(0, |cache| cache.length));
        let embed = |table: &Tensor, rows: &Tensor| Tensor::embedding(table, rows, -1, false, false);
        let places = Tensor::arange_start(past, past + length, (Kind::Int64, tokens.device())).unsqueeze(0);
        let mut x = embed(&self.words, tokens) + embed(&self.positions, &places);
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.attend(&x, self.config.heads, cache.as_mut().map(|cache| cache.layer(layer))) + &x;
            x = &x + block.think(&x);
        }
        if let Some(cache) = cache {
            cache.length += length;
        }
        self.last.forward(&x)
    }
}

struct Block {
    before_attention: Norm,
    attention: Linear,
    attended: Linear,
    before_inner: Norm,
    into_inner: Linear,
    out_of_inner: Linear,
}

impl Block {
    fn attend(&self, x: &Tensor, heads: usize, past: Option<Past>) -> Tensor {
        let size = x.size();
        let (length, width) = (size[1], size[2]);
        let each = width / i64::try_from(heads).expect("there are fewer heads than that");
        let parts = self.attention.forward(&self.before_attention.forward(x)).split(width, 2);
        let [q, k, v] = [0, 1, 2].map(|part| parts[part].view([size[0], length, -1, each]).transpose(1, 2));
        let (k, v) = past.map_or((k.shallow_clone(), v.shallow_clone()), |past| past.join(&k, &v));
        let scale = (each as f64).powf(-0.5);
        let mixed =
            Tensor::scaled_dot_product_attention::<Tensor>(&q, &k, &v, None, 0.0, length > 1, scale, false);
        self.attended.forward(&mixed.transpose(1, 2).contiguous().view(size.as_slice()))
    }

    fn think(&self, x: &Tensor) -> Tensor {
        self.out_of_inner.forward(&self.into_inner.forward(&self.before_inner.forward(x)).gelu("tanh"))
    }
}

/// A linear layer whose weight is stored as input × output, as in the published GPT-2.
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(path: &Path, input: i64, output: i64) -> Self {
        Self { weight: variable(path, "weight", &[input, output]), bias: variable(path, "bias", &[output]) }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let mut size = x.size();
        let flat = self.bias.addmm(&x.view([-1, size[2]]), &self.weight);
        size[2] = self.bias.size()[0];
        flat.view(size.as_slice())
    }
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl Norm {
    fn new(path: &Path, width: i64, epsilon: f64) -> Self {
        Self { weight: variable(path, "weight", &[width]), bias: variable(path, "bias", &[width]), epsilon }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.epsilon, true)
    }
}

/// Return a variable, into which the job's weights are copied later.
fn variable(path: &Path, name: &str, shape: &[i64]) -> Tensor {
    path.var(name, shape, Init::Const(0.0))
}

fn sizes(sizes: [usize; 2]) -> Result<[i64; 2]> {
    Ok([i64::try_from(sizes[0])?, i64::try_from(sizes[1])?])
}

/// The keys and values of every layer, with memory for a fixed number of positions.
pub(super) struct Cache {
    layers: Vec<[Tensor; 2]>,
    length: i64,
}

/// The keys and values of one layer, of which the first `length` positions are filled.
struct Past<'a> {
    stored: &'a mut [Tensor; 2],
    length: i64,
}

impl Cache {
    pub(super) fn new(config: &Config, capacity: usize, device: Device) -> Result<Self> {
        let [heads, capacity] = sizes([config.heads, capacity])?;
        let each = i64::try_from(config.width)? / heads;
        let empty = || Tensor::empty([1, heads, capacity, each], (Kind::Float, device));
        Ok(Self { layers: (0..config.layers).map(|_| [empty(), empty()]).collect(), length: 0 })
    }

    fn layer(&mut self, layer: usize) -> Past<'_> {
        Past { stored: &mut self.layers[layer], length: self.length }
    }
}

impl Past<'_> {
    /// Append new keys and values; return all.
    fn join(self, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        let added = k.size()[2];
        let join = |all: &Tensor, new: &Tensor| {
            all.narrow(2, self.length, added).copy_(new);
            all.narrow(2, 0, self.length + added)
        };
        let [keys, values] = self.stored;
        (join(keys, k), join(values, v))
    }
}
