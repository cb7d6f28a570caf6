//! BERT on candle with a head: training of the last layer and the head, and prediction.
//!
//! The encoder is that of candle-transformers. Layers written here replace it where it has no gradients, and in variant `fused`.
//!
//! Initial weights and batches are files, so every member starts from and reads the same ones.

use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Linear, Module as _, VarBuilder, loss, ops};
use candle_transformers::models::bert::{BertModel, Config as Sizes};
use duet_worker::{Array, Call, Error, Implementation, Job, Registry, Result};
use task_support::bert::{self, Config};
use task_support::supervised::{Named, Train, Training};
use task_support::tokens;

use crate::gelu;
use crate::tensors::{self, Learner, Weights};

type Computed = candle_core::Result<Tensor>;

/// Register training and prediction with both heads, and Hugging Face's tokeniser.
pub fn register(registry: &mut Registry) {
    for algorithm in bert::HEADS {
        registry.add("bert", algorithm, "train", train);
        registry.add("bert", algorithm, "predict", predict);
    }
    tokens::register(registry, "bert");
}

// --- the texts -------------------------------------------------------------------------------------------------------

/// Encoded texts (texts × tokens): token ids, token types, and the mask of tokens that are not padding (f32).
struct Texts {
    ids: Tensor,
    types: Tensor,
    mask: Tensor,
}

impl Texts {
    /// Take the texts out of `arrays`, which were read from data file `name`.
    fn take(arrays: &Weights, name: &str) -> Result<Self> {
        let part = |part: &str| find(arrays, part, name);
        Ok(Self { ids: part("ids")?, types: part("types")?, mask: part("mask")?.to_dtype(DType::F32)? })
    }

    fn rows(&self, rows: &Tensor) -> candle_core::Result<Self> {
        let select = |all: &Tensor| all.index_select(rows, 0);
        Ok(Self { ids: select(&self.ids)?, types: select(&self.types)?, mask: select(&self.mask)? })
    }

    fn first(&self, count: usize, name: &str) -> Result<Self> {
        let first = |all: &Tensor| tensors::first(all, count, name);
        Ok(Self { ids: first(&self.ids)?, types: first(&self.types)?, mask: first(&self.mask)? })
    }

    /// Return the number of texts and of tokens, without padding.
    fn count(&self) -> Result<(usize, usize)> {
        let tokens = self.mask.to_dtype(DType::I64)?.sum_all()?.to_scalar::<i64>()?;
        Ok((self.ids.dim(0)?, usize::try_from(tokens)?))
    }
}

fn find(arrays: &Weights, part: &str, name: &str) -> Result<Tensor> {
    let found = arrays.get(part).cloned();
    found.ok_or_else(|| Error::invalid(format!("data file {name:?} has no {part:?}; add it to the recipe")))
}

// --- the network -----------------------------------------------------------------------------------------------------

/// The encoder of candle-transformers, layers written here after its own, and a linear head.
struct Network {
    encoder: BertModel,
    layers: Vec<Layer>,
    head: Linear,
    pooled: bool,
}

impl Network {
    /// Build a network that reads `weights` themselves, not copies of them. Its last `ours` layers are those written here, made
    /// of `operators`.
    fn new(given: &Given, weights: &Weights, ours: usize, operators: Operators) -> Result<Self> {
        let sizes = Sizes { num_hidden_layers: given.config.layers - ours, ..given.sizes.clone() };
        let layer = |index| Layer::new(weights, &given.config, index, operators);
        let builder = VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu);
        Ok(Self {
            encoder: BertModel::load(builder, &sizes)?,
            layers: (sizes.num_hidden_layers..given.config.layers).map(layer).collect::<Result<_>>()?,
            head: linear(weights, "head")?,
            pooled: given.pooled,
        })
    }

    /// Return the logits: texts × classes, or texts × tokens × 2.
    fn forward(&self, texts: &Texts) -> Computed {
        let mut states = self.encoder.forward(&texts.ids, &texts.types, Some(&texts.mask))?;
        for layer in &self.layers {
            states = layer.forward(&states, &texts.mask)?;
        }
        if !self.pooled {
            return self.head.forward(&states);
        }
        let there = texts.mask.unsqueeze(2)?;
        self.head.forward(&states.broadcast_mul(&there)?.sum(1)?.broadcast_div(&there.sum(1)?)?)
    }

    /// Return the mean cross entropy of the classes, or of the first and last tokens of the answers.
    fn loss(&self, texts: &Texts, labels: &Tensor) -> Computed {
        let logits = self.forward(texts)?;
        if self.pooled {
            return loss::cross_entropy(&logits, labels);
        }
        let column = |of: &Tensor, column| of.narrow(D::Minus1, column, 1)?.squeeze(D::Minus1)?.contiguous();
        let end = |end| loss::cross_entropy(&column(&logits, end)?, &column(labels, end)?);
        (end(0)? + end(1)?)? / 2.0
    }
}

/// The operators of a layer besides matrix products.
#[derive(Clone, Copy)]
struct Operators {
    softmax: fn(&Tensor) -> Computed,
    gelu: fn(&Tensor) -> Computed,
    norm: fn(&Tensor, &Tensor, &Tensor, f32) -> Computed,
}

impl Operators {
    /// Composed operators, which have gradients.
    const COMPOSED: Self = Self {
        softmax: |scores| ops::softmax(scores, D::Minus1),
        gelu: Tensor::gelu_erf,
        norm: ops::layer_norm_slow,
    };
    /// Operators of one pass each, without gradients.
    const FUSED: Self = Self { softmax: ops::softmax_last_dim, gelu: gelu::gelu_erf, norm: ops::layer_norm };
}

/// The layer of candle-transformers, with a choice of operators.
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: Norm,
    into_inner: Linear,
    out_of_inner: Linear,
    norm: Norm,
    heads: usize,
    operators: Operators,
}

impl Layer {
    fn new(weights: &Weights, config: &Config, index: usize, operators: Operators) -> Result<Self> {
        let name = Config::layer(index);
        let part = |part: &str| linear(weights, &format!("{name}.{part}"));
        let norm = |part: &str| Norm::new(weights, &format!("{name}.{part}"), config, operators);
        Ok(Self {
            query: part("attention.self.query")?,
            key: part("attention.self.key")?,
            value: part("attention.self.value")?,
            attended: part("attention.output.dense")?,
            attended_norm: norm("attention.output.LayerNorm")?,
            into_inner: part("intermediate.dense")?,
            out_of_inner: part("output.dense")?,
            norm: norm("output.LayerNorm")?,
            heads: config.heads,
            operators,
        })
    }

    fn forward(&self, states: &Tensor, mask: &Tensor) -> Computed {
        let attended = self.attended.forward(&self.attend(states, mask)?)?;
        let states = self.attended_norm.forward(&(attended + states)?)?;
        let inner = (self.operators.gelu)(&self.into_inner.forward(&states)?)?;
        self.norm.forward(&(self.out_of_inner.forward(&inner)? + states)?)
    }

    fn attend(&self, states: &Tensor, mask: &Tensor) -> Computed {
        let (count, length, width) = states.dims3()?;
        let each = width / self.heads;
        let part = |layer: &Linear| -> Computed {
            layer.forward(states)?.reshape((count, length, self.heads, each))?.transpose(1, 2)?.contiguous()
        };
        let query = (part(&self.query)? * (each as f64).powf(-0.5))?;
        let scores = query.matmul(&part(&self.key)?.t()?)?;
        // As in candle-transformers: the lowest finite number for padding, because 0 times infinity is not a number.
        let absent = ((mask.ones_like()? - mask)? * f64::from(f32::MIN))?.reshape((count, 1, 1, length))?;
        let shares = (self.operators.softmax)(&scores.broadcast_add(&absent)?)?;
        shares.matmul(&part(&self.value)?)?.transpose(1, 2)?.reshape((count, length, width))
    }
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
    operators: Operators,
}

impl Norm {
    fn new(weights: &Weights, name: &str, config: &Config, operators: Operators) -> Result<Self> {
        let part = |part: &str| find(weights, &format!("{name}.{part}"), "encoder");
        #[expect(clippy::cast_possible_truncation, reason = "candle takes this constant, 1e-12, as f32")]
        let epsilon = config.epsilon as f32;
        Ok(Self { weight: part("weight")?, bias: part("bias")?, epsilon, operators })
    }

    fn forward(&self, x: &Tensor) -> Computed {
        (self.operators.norm)(x, &self.weight, &self.bias, self.epsilon)
    }
}

fn linear(weights: &Weights, name: &str) -> Result<Linear> {
    let part = |part: &str| find(weights, &format!("{name}.{part}"), "encoder");
    Ok(Linear::new(part("weight")?, Some(part("bias")?)))
}

/// The parts of a network that a job gives: its sizes, its weights, and whether the head reads the mean of all tokens.
struct Given {
    config: Config,
    sizes: Sizes,
    weights: Weights,
    pooled: bool,
}

impl Given {
    /// Read the encoder and replace the weights that are in data file `trainable`.
    fn read(job: &Job, trainable: &str) -> Result<Self> {
        let mut weights = tensors::weights(job, "encoder")?;
        weights.extend(tensors::weights(job, trainable)?);
        let sizes = serde_json::from_slice(&job.bytes("config")?)?;
        Ok(Self { config: Config::read(job)?, sizes, weights, pooled: bert::is_pooled(job) })
    }
}

// --- training --------------------------------------------------------------------------------------------------------

/// Take the first steps of training the last layer and the head.
fn train(job: &Job) -> Result<Train<Head>> {
    let algorithm = job.algorithm();
    let (train, batches) = (format!("{algorithm}_train"), format!("{algorithm}_batches"));
    let arrays = tensors::weights(job, &train)?;
    let head = Head {
        given: Given::read(job, &format!("{algorithm}_head"))?,
        texts: Texts::take(&arrays, &train)?,
        labels: find(&arrays, "labels", &train)?,
        learning_rate: job.f64("learning_rate")?,
    };
    let batches = tensors::batches(job, &batches)?;
    let (samples, tokens) = head.texts.rows(&Tensor::cat(&batches, 0)?)?.count()?;
    let work = bert::training_work(samples, tokens, batches.len());
    Train::new(head, batches, work)
}

/// An encoder whose last layer and head are trained, and its examples.
struct Head {
    given: Given,
    texts: Texts,
    labels: Tensor,
    learning_rate: f64,
}

impl Training for Head {
    type Learner = Learner<Network>;
    type Batch = Tensor;
    type Gradients = GradStore;

    fn learner(&self) -> Result<Learner<Network>> {
        let config = &self.given.config;
        let trainable = self.given.weights.iter().filter(|(name, _)| config.is_trainable(name));
        let variables = tensors::variables(trainable)?;
        let mut weights = self.given.weights.clone();
        weights.extend(tensors::shared(&variables));
        let optimizer = tensors::adam(variables.values().cloned().collect(), self.learning_rate)?;
        let model = Network::new(&self.given, &weights, 1, Operators::COMPOSED)?;
        Ok(Learner { variables, model, optimizer })
    }

    fn step(
        &self,
        learner: &mut Learner<Network>,
        rows: &Tensor,
        inspect: impl FnOnce(&Learner<Network>, &GradStore) -> Result<()>,
    ) -> Result<f64> {
        let (texts, labels) = (self.texts.rows(rows)?, self.labels.index_select(rows, 0)?);
        let loss = learner.model.loss(&texts, &labels)?;
        learner.descend(&loss, inspect)
    }

    fn weights(&self, learner: &Learner<Network>) -> Result<Named> {
        tensors::named(&learner.variables)
    }

    fn gradients(&self, learner: &Learner<Network>, gradients: &GradStore) -> Result<Named> {
        tensors::gradients(&learner.variables, gradients)
    }

    fn first_logits(&self, learner: &Learner<Network>, rows: &Tensor) -> Result<Option<Array>> {
        Ok(Some(tensors::array(&learner.model.forward(&self.texts.rows(rows)?)?)?))
    }
}

// --- prediction ------------------------------------------------------------------------------------------------------

/// Run the encoder and its trained head forward over one batch.
fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let name = bert::held_out(job)?;
    let texts = Texts::take(&tensors::weights(job, &name)?, &name)?.first(job.usize("batch")?, &name)?;
    let given = Given::read(job, "checkpoint")?;
    let ours = if job.variant(&["", "fused"])? == "fused" { given.config.layers } else { 0 };
    let network = Network::new(&given, &given.weights, ours, Operators::FUSED)?;
    let (samples, tokens) = texts.count()?;
    let call = Call::new(move || Ok(network.forward(&texts)?), tensors::logits);
    Ok(call.work("samples", samples).work("tokens", tokens))
}
