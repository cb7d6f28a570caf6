//! BERT on candle with a head on top: its last layer and the head are learnt, and it is asked.
//!
//! The encoder is candle-transformers' own. Layers written here take its place where it has no gradients, and in variant `fused`.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts from and sees the same.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::{AdamW, Linear, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, loss, ops};
use candle_transformers::models::bert::{BertModel, Config as Sizes};
use duet_rooms::bert::{self, Config};
use duet_rooms::tokens;
use duet_worker::{Error, Implementation, Job, Outputs, Registry, Result};

use crate::gelu;
use crate::tensors::{self, Variables, Weights};

type Computed = candle_core::Result<Tensor>;

/// Register both uses of both heads, and the tokeniser of the same house.
pub fn register(registry: &mut Registry) {
    for algorithm in ["sentiment", "question_answering"] {
        registry.add("bert", algorithm, "train", Train::new);
        registry.add("bert", algorithm, "predict", Predict::new);
    }
    tokens::register(registry, "bert");
}

// --- the texts -------------------------------------------------------------------------------------------------------

/// Texts as numbers (texts × tokens): which tokens, of which part, and where there is one at all (f32).
struct Texts {
    ids: Tensor,
    types: Tensor,
    mask: Tensor,
}

impl Texts {
    /// Take them out of what was read from data file `name`.
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

    fn work(&self) -> Result<BTreeMap<String, u64>> {
        // What only fills a row up is no token.
        let tokens = self.mask.to_dtype(DType::I64)?.sum_all()?.to_scalar::<i64>()?;
        Ok(BTreeMap::from([
            ("samples".to_owned(), self.ids.dim(0)? as u64),
            ("tokens".to_owned(), tokens.unsigned_abs()),
        ]))
    }
}

fn find(arrays: &Weights, part: &str, name: &str) -> Result<Tensor> {
    let found = arrays.get(part).cloned();
    found.ok_or_else(|| Error::invalid(format!("data file {name:?} has no {part:?}; add it to the recipe")))
}

// --- the network -----------------------------------------------------------------------------------------------------

/// The encoder of candle-transformers, layers written here that follow its own, and a linear head.
struct Network {
    encoder: BertModel,
    layers: Vec<Layer>,
    head: Linear,
    pooled: bool,
}

impl Network {
    /// Build a network that reads `weights` themselves, not copies of them; its last layers, `ours` of them, are those written
    /// here, of `operators`.
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

    /// Return logits: texts × classes, or texts × tokens × 2.
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

    /// Return the mean cross entropy: of the classes, or of the answers' first and last tokens.
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

/// What a layer is made of beside products.
#[derive(Clone, Copy)]
struct Operators {
    softmax: fn(&Tensor) -> Computed,
    gelu: fn(&Tensor) -> Computed,
    norm: fn(&Tensor, &Tensor, &Tensor, f32) -> Computed,
}

impl Operators {
    /// Those that have gradients.
    const COMPOSED: Self = Self {
        softmax: |scores| ops::softmax(scores, D::Minus1),
        gelu: Tensor::gelu_erf,
        norm: ops::layer_norm_slow,
    };
    /// Each in one pass, which has none.
    const FUSED: Self = Self { softmax: ops::softmax_last_dim, gelu: gelu::gelu_erf, norm: ops::layer_norm };
}

/// A layer as candle-transformers has it, of operators that one chooses.
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
        // As candle-transformers has it: the lowest number where there is no token, since 0 times infinity is none.
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
        #[expect(clippy::cast_possible_truncation, reason = "candle takes the constant as f32; it is 1e-12")]
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

/// What a job gives a network: its sizes, all its weights, and what its head reads.
struct Given {
    config: Config,
    sizes: Sizes,
    weights: Weights,
    pooled: bool,
}

impl Given {
    /// Read the encoder, and over it what stands in data file `learnt`.
    fn read(job: &Job, learnt: &str) -> Result<Self> {
        let mut weights = tensors::weights(job, "encoder")?;
        weights.extend(tensors::weights(job, learnt)?);
        let sizes = serde_json::from_slice(&job.bytes("config")?)?;
        Ok(Self { config: Config::read(job)?, sizes, weights, pooled: bert::is_pooled(job) })
    }
}

// --- learning --------------------------------------------------------------------------------------------------------

/// Take the first steps of learning the last layer and the head, one batch a step.
struct Train {
    given: Given,
    texts: Texts,
    labels: Tensor,
    batches: Vec<Tensor>,
    learning_rate: f64,
    work: BTreeMap<String, u64>,
}

/// A network, the variables in it that are learnt by name, and the optimiser that changes them.
struct Learner {
    variables: Variables,
    network: Network,
    optimizer: AdamW,
}

impl Train {
    fn new(job: &Job) -> Result<Self> {
        let (steps, algorithm) = (job.usize("steps")?, job.algorithm());
        let (train, batches) = (format!("{algorithm}_train"), format!("{algorithm}_batches"));
        let arrays = tensors::weights(job, &train)?;
        let batches = tensors::first(&tensors::integers(job, &batches)?, steps, &batches)?;
        let texts = Texts::take(&arrays, &train)?;
        let mut work = texts.rows(&batches.flatten_all()?)?.work()?;
        work.insert("steps".to_owned(), steps as u64);
        let train = Self {
            given: Given::read(job, &format!("{algorithm}_head"))?,
            texts,
            labels: find(&arrays, "labels", &train)?,
            batches: (0..steps).map(|step| batches.get(step)).collect::<Result<_, _>>()?,
            learning_rate: job.f64("learning_rate")?,
            work,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    /// Take one step; return the loss before it and the gradients.
    fn step(&self, learner: &mut Learner, rows: &Tensor) -> Result<(f32, GradStore)> {
        let (texts, labels) = (self.texts.rows(rows)?, self.labels.index_select(rows, 0)?);
        let loss = learner.network.loss(&texts, &labels)?;
        let gradients = loss.backward()?;
        learner.optimizer.step(&gradients)?;
        Ok((loss.to_scalar()?, gradients))
    }
}

impl Implementation for Train {
    type Input = Learner;
    /// With the loss before each step; the optimiser goes along so that dropping it is not timed.
    type Output = (Learner, Vec<f32>);

    fn fresh(&self) -> Result<Learner> {
        let learnt = self.given.weights.iter().filter(|(name, _)| self.given.config.is_learnt(name));
        let variables = tensors::variables(learnt)?;
        let mut weights = self.given.weights.clone();
        weights.extend(variables.iter().map(|(name, each)| (name.clone(), each.as_tensor().clone())));
        // Without decay of weights AdamW is Adam.
        let params = ParamsAdamW { lr: self.learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
        let optimizer = AdamW::new(variables.values().cloned().collect(), params)?;
        Ok(Learner {
            network: Network::new(&self.given, &weights, 1, Operators::COMPOSED)?,
            variables,
            optimizer,
        })
    }

    fn run(&self, mut learner: Learner) -> Result<(Learner, Vec<f32>)> {
        let losses: Result<_> =
            self.batches.iter().map(|rows| Ok(self.step(&mut learner, rows)?.0)).collect();
        Ok((learner, losses?))
    }

    /// The first step is taken again, off the clock, to tell what it alone does.
    fn outputs(&self, (learner, losses): &(Learner, Vec<f32>)) -> Result<Outputs> {
        let mut first = self.fresh()?;
        let logits = first.network.forward(&self.texts.rows(&self.batches[0])?)?;
        let (first_loss, gradients) = self.step(&mut first, &self.batches[0])?;
        let outputs = tensors::trained(
            (&learner.variables, losses),
            (&first.variables, first_loss, &gradients),
            |_| true,
        )?;
        Ok(outputs.array("first_logits", tensors::array(&logits)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        self.work.clone()
    }
}

// --- asking ----------------------------------------------------------------------------------------------------------

/// Run the encoder and its trained head forward over one batch.
struct Predict {
    network: Network,
    texts: Texts,
    work: BTreeMap<String, u64>,
}

impl Predict {
    fn new(job: &Job) -> Result<Self> {
        let name = bert::held_out(job)?;
        let texts = Texts::take(&tensors::weights(job, &name)?, &name)?.first(job.usize("batch")?, &name)?;
        let given = Given::read(job, "checkpoint")?;
        let ours = if job.variant(&["", "fused"])? == "fused" { given.config.layers } else { 0 };
        let network = Network::new(&given, &given.weights, ours, Operators::FUSED)?;
        Ok(Self { network, work: texts.work()?, texts })
    }
}

impl Implementation for Predict {
    type Input = ();
    type Output = Tensor;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Tensor> {
        Ok(self.network.forward(&self.texts)?)
    }

    fn outputs(&self, logits: &Tensor) -> Result<Outputs> {
        Ok(Outputs::new().array("logits", tensors::array(logits)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        self.work.clone()
    }
}
