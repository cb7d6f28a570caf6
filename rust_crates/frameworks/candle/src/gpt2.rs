//! GPT-2 on candle, which has no GPT-2 of its own: training, prediction and generation.
//!
//! Initial weights and batches are files, so every member starts from and reads the same ones.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{D, Device, Tensor};
use candle_nn::kv_cache::KvCache;
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW, loss, ops};
use duet_worker::{Call, Error, Implementation, Job, Outputs, Registry, Result, Spans};
use task_support::gpt2::{self, Config, Task, Watch, rates};
use task_support::supervised::{Named, Train, Training};
use task_support::tokens;

use crate::gelu;
use crate::tensors::{self, Learner, Weights};

type Computed = candle_core::Result<Tensor>;

/// Register every use of the model, and Hugging Face's tokeniser.
pub fn register(registry: &mut Registry) {
    registry.add("gpt2", "language_modeling", "train", train);
    registry.add("gpt2", "language_modeling", "predict", predict);
    registry.add("gpt2", "generation", "generate", Generate::new);
    tokens::register(registry, "gpt2");
}

// --- the model -------------------------------------------------------------------------------------------------------

struct Model {
    config: Config,
    words: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    last: Norm,
}

impl Model {
    /// Build a model that reads `weights` themselves, not copies of them; `trains` if it needs gradients.
    fn new(config: &Config, weights: &Weights, trains: bool) -> Result<Self> {
        let (width, inner) = (config.width, config.inner());
        let norm = |name: String| {
            Ok::<_, Error>(Norm {
                weight: weight(weights, &format!("{name}.weight"), &[width])?,
                bias: weight(weights, &format!("{name}.bias"), &[width])?,
                epsilon: config.epsilon,
                trains,
            })
        };
        let linear = |name: String, input, output| {
            Ok::<_, Error>(Linear {
                weight: weight(weights, &format!("{name}.weight"), &[input, output])?,
                bias: weight(weights, &format!("{name}.bias"), &[output])?,
            })
        };
        let block = |layer| {
            Ok(Block {
                before_attention: norm(format!("h.{layer}.ln_1"))?,
                attention: linear(format!("h.{layer}.attn.c_attn"), width, 3 * width)?,
                attended: linear(format!("h.{layer}.attn.c_proj"), width, width)?,
                before_inner: norm(format!("h.{layer}.ln_2"))?,
                into_inner: linear(format!("h.{layer}.mlp.c_fc"), width, inner)?,
                out_of_inner: linear(format!("h.{layer}.mlp.c_proj"), inner, width)?,
                heads: config.heads,
                trains,
            })
        };
        Ok(Self {
            words: weight(weights, "wte.weight", &[config.vocabulary, width])?,
            positions: weight(weights, "wpe.weight", &[config.positions, width])?,
            blocks: (0..config.layers).map(block).collect::<Result<_>>()?,
            last: norm("ln_f".to_owned())?,
            config: config.clone(),
        })
    }

    /// Return the logits (rows × vocabulary) of some positions' states (rows × width); the head shares the embedding's weights.
    fn head(&self, hidden: &Tensor) -> Computed {
        hidden.matmul(&self.words.t()?)
    }

    /// Return the states (windows × positions × width) of `tokens` (windows × positions), which follow those in `cache`.
    fn hidden(&self, tokens: &Tensor, cache: &mut [KvCache]) -> Computed {
        let (count, length) = tokens.dims2()?;
        let past = cache.first().map_or(0, |cache| cache.k_cache().current_seq_len());
        let words = self.words.index_select(&tokens.flatten_all()?, 0)?;
        let words = words.reshape((count, length, self.config.width))?;
        let mut x = words.broadcast_add(&self.positions.narrow(0, past, length)?)?;
        let mask = (length > 1).then(|| mask(length)).transpose()?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = (block.attend(&x, mask.as_ref(), cache.get_mut(layer))? + x)?;
            x = (block.think(&x)? + x)?;
        }
        self.last.forward(&x)
    }

    /// Return the logits (windows × positions × vocabulary) of `tokens` (windows × positions).
    fn read(&self, tokens: &Tensor) -> Computed {
        let (count, length) = tokens.dims2()?;
        self.head(&self.hidden(tokens, &mut [])?.flatten_to(1)?)?.reshape((count, length, ()))
    }
}

/// Return the causal mask, which is added to the attention scores of a window.
fn mask(length: usize) -> Computed {
    let row = |at: usize| (0..length).map(move |to| if to > at { f32::NEG_INFINITY } else { 0.0 });
    Tensor::from_vec((0..length).flat_map(row).collect(), (length, length), &Device::Cpu)
}

fn weight(weights: &Weights, name: &str, shape: &[usize]) -> Result<Tensor> {
    let found = weights
        .get(name)
        .ok_or_else(|| Error::invalid(format!("weight {name:?} is missing; add it to the file")))?;
    if found.dims() != shape {
        let seen = found.dims();
        return Err(Error::invalid(format!("weight {name:?} has the shape {seen:?}; write it as {shape:?}")));
    }
    Ok(found.clone())
}

struct Block {
    before_attention: Norm,
    attention: Linear,
    attended: Linear,
    before_inner: Norm,
    into_inner: Linear,
    out_of_inner: Linear,
    heads: usize,
    trains: bool,
}

impl Block {
    fn attend(&self, x: &Tensor, mask: Option<&Tensor>, past: Option<&mut KvCache>) -> Computed {
        let (count, length, width) = x.dims3()?;
        let each = width / self.heads;
        let parts = self.attention.forward(&self.before_attention.forward(x)?)?;
        let split = |number: usize| -> Computed {
            let third = parts.narrow(D::Minus1, number * width, width)?;
            third.reshape((count, length, self.heads, each))?.transpose(1, 2)?.contiguous()
        };
        let (q, mut k, mut v) = ((split(0)? * (each as f64).powf(-0.5))?, split(1)?, split(2)?);
        if let Some(past) = past {
            (k, v) = past.append(&k, &v)?;
        }
        let scores = q.matmul(&k.t()?)?;
        let scores = mask.map_or(Ok(scores.clone()), |mask| scores.broadcast_add(mask))?;
        // The fused softmax has no gradient.
        let shares =
            if self.trains { ops::softmax(&scores, D::Minus1)? } else { ops::softmax_last_dim(&scores)? };
        self.attended.forward(&shares.matmul(&v)?.transpose(1, 2)?.reshape((count, length, width))?)
    }

    fn think(&self, x: &Tensor) -> Computed {
        let inner = self.into_inner.forward(&self.before_inner.forward(x)?)?;
        self.out_of_inner.forward(&if self.trains { inner.gelu()? } else { gelu::gelu_tanh(&inner)? })
    }
}

/// A linear layer whose weight is stored as input × output, as in the published GPT-2.
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Computed {
        let (count, length, _) = x.dims3()?;
        // One product for all windows instead of one per window.
        let flat = x.flatten_to(1)?.matmul(&self.weight)?.broadcast_add(&self.bias)?;
        flat.reshape((count, length, ()))
    }
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
    trains: bool,
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Computed {
        // The fused layer norm has no gradient.
        #[expect(clippy::cast_possible_truncation, reason = "candle takes this constant, 1e-5, as f32")]
        let epsilon = self.epsilon as f32;
        let norm = if self.trains { ops::layer_norm_slow } else { ops::layer_norm };
        norm(x, &self.weight, &self.bias, epsilon)
    }
}

// --- training --------------------------------------------------------------------------------------------------------

/// Take the first steps of training.
fn train(job: &Job) -> Result<Train<LanguageModel>> {
    let batches = tensors::batches(job, "batches")?;
    let rates = rates(job, batches.len())?;
    let model = LanguageModel {
        config: Config::read(job)?,
        windows: tensors::integers(job, "x_train")?,
        first_rate: rates[0],
        weight_decay: job.f64("weight_decay")?,
        initial: tensors::weights(job, "initial")?,
    };
    let count = batches.iter().map(Tensor::elem_count).sum();
    let work = gpt2::training_work(count, model.windows.dim(1)?, batches.len());
    Train::new(model, batches.into_iter().zip(rates).collect(), work)
}

/// A model to train, and its windows of text.
struct LanguageModel {
    config: Config,
    windows: Tensor,
    first_rate: f64,
    weight_decay: f64,
    initial: Weights,
}

impl Training for LanguageModel {
    type Learner = Learner<Model>;
    /// Rows of windows, and the learning rate.
    type Batch = (Tensor, f64);
    type Gradients = GradStore;

    fn learner(&self) -> Result<Learner<Model>> {
        let variables = tensors::variables(self.initial.iter())?;
        let params =
            ParamsAdamW { lr: self.first_rate, weight_decay: self.weight_decay, ..ParamsAdamW::default() };
        let optimizer = AdamW::new(variables.values().cloned().collect(), params)?;
        let model = Model::new(&self.config, &tensors::shared(&variables), true)?;
        Ok(Learner { variables, model, optimizer })
    }

    fn step(
        &self,
        learner: &mut Learner<Model>,
        (rows, rate): &(Tensor, f64),
        inspect: impl FnOnce(&Learner<Model>, &GradStore) -> Result<()>,
    ) -> Result<f64> {
        let windows = self.windows.index_select(rows, 0)?;
        let length = windows.dim(1)?;
        learner.optimizer.set_learning_rate(*rate);
        // The last token of each window has no next token to predict.
        let hidden = learner.model.hidden(&windows, &mut [])?.narrow(1, 0, length - 1)?;
        let logits = learner.model.head(&hidden.flatten_to(1)?)?;
        let loss = loss::cross_entropy(&logits, &windows.narrow(1, 1, length - 1)?.flatten_all()?)?;
        learner.descend(&loss, inspect)
    }

    fn weights(&self, learner: &Learner<Model>) -> Result<Named> {
        tensors::named(&learner.variables)
    }

    fn gradients(&self, learner: &Learner<Model>, gradients: &GradStore) -> Result<Named> {
        tensors::gradients(&learner.variables, gradients)
    }
}

// --- prediction ------------------------------------------------------------------------------------------------------

/// Read some windows of held-out text and compute how well the model predicts each next token.
fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let windows = tensors::first(&tensors::integers(job, "x_test")?, job.usize("batch")?, "x_test")?;
    let (model, count) = (model(job)?, windows.elem_count());
    let (_, length) = windows.dims2()?;
    let next = windows.narrow(1, 1, length - 1)?.flatten_all()?;
    let read = move || {
        let logits = model.read(&windows)?;
        let loss = loss::cross_entropy(&logits.narrow(1, 0, length - 1)?.flatten_to(1)?, &next)?;
        Ok((logits, loss))
    };
    let outputs = |(logits, loss): &(Tensor, Tensor)| {
        let loss = tensors::array(&loss.reshape(1)?)?;
        Ok(Outputs::new().array("logits", tensors::array(logits)?).array("loss", loss))
    };
    Ok(Call::new(read, outputs).work("tokens", count))
}

/// Return the model that a job describes, with the weights in the file that it names.
fn model(job: &Job) -> Result<Model> {
    Model::new(&Config::read(job)?, &tensors::weights(job, job.str("weights")?)?, false)
}

// --- generation ------------------------------------------------------------------------------------------------------

/// Greedy generation from a prompt, with a cache of keys and values.
struct Generate {
    model: Model,
    task: Task,
    prompt: Tensor,
}

impl Generate {
    fn new(job: &Job) -> Result<Self> {
        let model = model(job)?;
        let task = Task::read(job, &model.config)?;
        let prompt = Tensor::from_slice(&task.prompt, (1, task.prompt.len()), &Device::Cpu)?;
        Ok(Self { model, task, prompt })
    }
}

/// The new tokens, the logits of each, and how long the first and the later ones took.
#[derive(Default)]
struct Written {
    tokens: Vec<Tensor>,
    logits: Vec<Tensor>,
    spans: Spans,
}

impl Implementation for Generate {
    type Input = ();
    type Output = Written;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Written> {
        let mut watch = Watch::start();
        let capacity = self.task.prompt.len() + self.task.new_tokens;
        let mut cache = vec![KvCache::new(2, capacity); self.model.config.layers];
        let mut written = Written::default();
        let mut read = self.prompt.clone();
        for _ in 0..self.task.new_tokens {
            let hidden = self.model.hidden(&read, &mut cache)?;
            let last = hidden.narrow(1, hidden.dim(1)? - 1, 1)?.flatten_to(1)?;
            let logits = self.model.head(&last)?;
            read = logits.argmax_keepdim(D::Minus1)?;
            written.logits.push(logits);
            written.tokens.push(read.clone());
            watch.token();
        }
        written.spans = watch.spans();
        Ok(written)
    }

    fn outputs(&self, written: &Written) -> Result<Outputs> {
        let tokens = Tensor::cat(&written.tokens, 1)?.flatten_all()?.to_vec1::<u32>()?;
        let tokens: Vec<i64> = tokens.into_iter().map(i64::from).collect();
        let logits = tensors::array(&Tensor::cat(&written.logits, 0)?)?;
        Ok(Outputs::new().array("tokens", tokens).array("logits", logits))
    }

    fn spans(&self, written: &Written) -> Spans {
        written.spans.clone()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        self.task.work()
    }
}
