//! BERT on libtorch with a head on top: its last layer and the head are learnt, and it is asked.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts from and sees the same.

use std::collections::BTreeMap;

use duet_rooms::bert::{self, Config};
use duet_worker::{Error, Implementation, Job, Outputs, Registry, Result};
use tch::nn::{self, OptimizerConfig as _};
use tch::{Device, Kind, Reduction, Tensor};

use crate::networks::{device, synchronize};
use crate::tensors::{self, Weights};

/// Register both uses of both heads.
pub fn register(registry: &mut Registry) {
    for algorithm in ["sentiment", "question_answering"] {
        registry.add("bert", algorithm, "train", Train::new);
        registry.add("bert", algorithm, "predict", Predict::new);
    }
}

// --- the texts -------------------------------------------------------------------------------------------------------

/// Texts as numbers (texts × tokens): which tokens, of which part, and where there is one at all.
struct Texts {
    ids: Tensor,
    types: Tensor,
    mask: Tensor,
}

impl Texts {
    /// Take them out of what was read from data file `name`.
    fn take(arrays: &Weights, name: &str, device: Device) -> Result<Self> {
        let part = |part: &str| Ok::<_, Error>(find(arrays, part, name)?.to_device(device));
        Ok(Self { ids: part("ids")?, types: part("types")?, mask: part("mask")? })
    }

    fn rows(&self, rows: &Tensor) -> Self {
        let select = |all: &Tensor| all.index_select(0, rows);
        Self { ids: select(&self.ids), types: select(&self.types), mask: select(&self.mask) }
    }

    fn first(&self, count: usize, name: &str) -> Result<Self> {
        let first = |all: &Tensor| tensors::first(all, count, name);
        Ok(Self { ids: first(&self.ids)?, types: first(&self.types)?, mask: first(&self.mask)? })
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let count = |number: i64| number.unsigned_abs();
        let tokens = self.mask.sum(Kind::Int64).int64_value(&[]);
        BTreeMap::from([
            ("samples".to_owned(), count(self.ids.size()[0])),
            // What only fills a row up is no token.
            ("tokens".to_owned(), count(tokens)),
        ])
    }
}

fn find(arrays: &Weights, part: &str, name: &str) -> Result<Tensor> {
    let found = arrays.get(part).map(Tensor::shallow_clone);
    found.ok_or_else(|| Error::invalid(format!("data file {name:?} has no {part:?}; add it to the recipe")))
}

// --- the network -----------------------------------------------------------------------------------------------------

/// The encoder, and a linear head over the mean of all tokens (`pooled`) or over each.
struct Network {
    words: Tensor,
    places: Tensor,
    types: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    head: Linear,
    pooled: bool,
}

impl Network {
    /// Build a network that reads `weights` themselves, not copies of them.
    fn new(config: &Config, weights: &Weights, pooled: bool) -> Result<Self> {
        let table = |name: &str| find(weights, &format!("embeddings.{name}_embeddings.weight"), "encoder");
        Ok(Self {
            words: table("word")?,
            places: table("position")?,
            types: table("token_type")?,
            norm: Norm::new(weights, "embeddings.LayerNorm", config)?,
            layers: (0..config.layers)
                .map(|number| Layer::new(weights, &Config::layer(number), config))
                .collect::<Result<_>>()?,
            head: Linear::new(weights, "head")?,
            pooled,
        })
    }

    /// Return logits: texts × classes, or texts × tokens × 2.
    fn forward(&self, texts: &Texts) -> Tensor {
        let states = self.encode(texts);
        if !self.pooled {
            return self.head.forward(&states);
        }
        let there = texts.mask.unsqueeze(-1).to_kind(Kind::Float);
        let sum = |each: &Tensor| each.sum_dim_intlist(1, false, None::<Kind>);
        self.head.forward(&(sum(&(states * &there)) / sum(&there)))
    }

    fn encode(&self, texts: &Texts) -> Tensor {
        let embed = |table: &Tensor, rows: &Tensor| Tensor::embedding(table, rows, -1, false, false);
        let size = texts.ids.size();
        let (count, length) = (size[0], size[1]);
        let read = embed(&self.words, &texts.ids) + embed(&self.types, &texts.types);
        let placed = read + self.places.narrow(0, 0, length);
        // Where all tokens are there, attention without a mask takes another, faster kernel.
        let mask = texts.mask.to_kind(Kind::Bool);
        let padded = mask.all().int64_value(&[]) == 0;
        let mask = padded.then(|| mask.view([count, 1, 1, length]).expand([count, 1, length, length], false));
        self.layers
            .iter()
            .fold(self.norm.forward(&placed), |states, layer| layer.forward(&states, mask.as_ref()))
    }

    /// Return the mean cross entropy: of the classes, or of the answers' first and last tokens.
    fn loss(&self, texts: &Texts, labels: &Tensor) -> Tensor {
        let entropy = |logits: &Tensor, labels: &Tensor| {
            logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Mean, -100, 0.0)
        };
        let logits = self.forward(texts);
        if self.pooled {
            return entropy(&logits, labels);
        }
        let end = |end: i64| entropy(&logits.select(-1, end), &labels.select(1, end));
        (end(0) + end(1)) / 2.0
    }
}

/// Attention over all tokens, then a hidden layer over each; what goes in is carried round both.
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: Norm,
    into_inner: Linear,
    out_of_inner: Linear,
    norm: Norm,
    heads: i64,
}

impl Layer {
    fn new(weights: &Weights, name: &str, config: &Config) -> Result<Self> {
        let linear = |part: &str| Linear::new(weights, &format!("{name}.{part}"));
        let norm = |part: &str| Norm::new(weights, &format!("{name}.{part}"), config);
        Ok(Self {
            query: linear("attention.self.query")?,
            key: linear("attention.self.key")?,
            value: linear("attention.self.value")?,
            attended: linear("attention.output.dense")?,
            attended_norm: norm("attention.output.LayerNorm")?,
            into_inner: linear("intermediate.dense")?,
            out_of_inner: linear("output.dense")?,
            norm: norm("output.LayerNorm")?,
            heads: i64::try_from(config.heads)?,
        })
    }

    fn forward(&self, states: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let attended = self.attended.forward(&self.attend(states, mask));
        let states = self.attended_norm.forward(&(attended + states));
        let inner = self.into_inner.forward(&states).gelu("none");
        self.norm.forward(&(self.out_of_inner.forward(&inner) + states))
    }

    fn attend(&self, states: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let size = states.size();
        let each = size[2] / self.heads;
        let part = |layer: &Linear| layer.forward(states).view([size[0], size[1], -1, each]).transpose(1, 2);
        let (query, key, value) = (part(&self.query), part(&self.key), part(&self.value));
        let scale = (each as f64).powf(-0.5);
        let mixed =
            Tensor::scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, scale, false);
        mixed.transpose(1, 2).contiguous().view(size.as_slice())
    }
}

struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(weights: &Weights, name: &str) -> Result<Self> {
        let part = |part: &str| find(weights, &format!("{name}.{part}"), "encoder");
        Ok(Self { weight: part("weight")?, bias: part("bias")? })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl Norm {
    fn new(weights: &Weights, name: &str, config: &Config) -> Result<Self> {
        let Linear { weight, bias } = Linear::new(weights, name)?;
        Ok(Self { weight, bias, epsilon: config.epsilon })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.epsilon, true)
    }
}

/// Read the encoder, and over it what stands in data file `learnt`.
fn weights(job: &Job, learnt: &str, device: Device) -> Result<Weights> {
    let mut all = tensors::weights(job, "encoder")?;
    all.extend(tensors::weights(job, learnt)?);
    Ok(all.into_iter().map(|(name, each)| (name, each.to_device(device))).collect())
}

// --- learning --------------------------------------------------------------------------------------------------------

/// Take the first steps of learning the last layer and the head, one batch a step.
struct Train {
    config: Config,
    pooled: bool,
    device: Device,
    texts: Texts,
    labels: Tensor,
    batches: Vec<Tensor>,
    weights: Weights,
    learning_rate: f64,
}

/// A network, the variables in it that are learnt, and the optimiser that knows them.
struct Learner {
    variables: nn::VarStore,
    network: Network,
    optimizer: nn::Optimizer,
}

impl Train {
    fn new(job: &Job) -> Result<Self> {
        let (steps, device, algorithm) = (job.usize("steps")?, device(job)?, job.algorithm());
        let (train, batches) = (format!("{algorithm}_train"), format!("{algorithm}_batches"));
        let arrays = tensors::weights(job, &train)?;
        let batches = tensors::first(&tensors::integers(job, &batches)?, steps, &batches)?;
        let train = Self {
            config: Config::read(job)?,
            pooled: bert::is_pooled(job),
            device,
            texts: Texts::take(&arrays, &train, device)?,
            labels: find(&arrays, "labels", &train)?.to_device(device),
            batches: batches.to_device(device).unbind(0),
            weights: weights(job, &format!("{algorithm}_head"), device)?,
            learning_rate: job.f64("learning_rate")?,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    /// Take one step and return the loss before it.
    fn step(&self, learner: &mut Learner, rows: &Tensor) -> f64 {
        let (texts, labels) = (self.texts.rows(rows), self.labels.index_select(0, rows));
        learner.optimizer.zero_grad();
        let loss = learner.network.loss(&texts, &labels);
        loss.backward();
        learner.optimizer.step();
        loss.double_value(&[])
    }
}

/// Make a variable of its own, with the values of `weight`; tch wants a path where PyTorch has dots.
fn variable(root: &nn::Path, name: &str, weight: &Tensor) -> Tensor {
    let (folders, last) = name.rsplit_once('.').unwrap_or(("", name));
    let path = folders.split('.').fold(root.clone(), |path, part| path / part);
    path.var_copy(last, weight)
}

impl Implementation for Train {
    type Input = Learner;
    /// With the loss before each step; the optimiser goes along so that dropping it is not timed.
    type Output = (Learner, Vec<f64>);

    fn fresh(&self) -> Result<Learner> {
        let variables = nn::VarStore::new(self.device);
        let root = variables.root();
        let own = |(name, weight): (&String, &Tensor)| {
            let learnt = self.config.is_learnt(name);
            (name.clone(), if learnt { variable(&root, name, weight) } else { weight.shallow_clone() })
        };
        let network = Network::new(&self.config, &self.weights.iter().map(own).collect(), self.pooled)?;
        let optimizer = nn::Adam::default().build(&variables, self.learning_rate)?;
        Ok(Learner { variables, network, optimizer })
    }

    fn run(&self, mut learner: Learner) -> Result<(Learner, Vec<f64>)> {
        let losses = self.batches.iter().map(|rows| self.step(&mut learner, rows)).collect();
        Ok((learner, losses))
    }

    fn sync(&self) {
        synchronize(self.device);
    }

    /// The first step is taken again, off the clock, to tell what it alone does.
    fn outputs(&self, (learner, losses): &(Learner, Vec<f64>)) -> Result<Outputs> {
        let mut first = self.fresh()?;
        let logits = tch::no_grad(|| first.network.forward(&self.texts.rows(&self.batches[0])));
        let first_loss = self.step(&mut first, &self.batches[0]);
        let outputs = tensors::trained(&learner.variables, losses, &first.variables, first_loss)?;
        Ok(outputs.array("first_logits", tensors::array(&logits)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let mut work = self.texts.rows(&Tensor::cat(&self.batches, 0)).work();
        work.insert("steps".to_owned(), self.batches.len() as u64);
        work
    }
}

// --- asking ----------------------------------------------------------------------------------------------------------

/// Run the encoder and its trained head forward over one batch.
struct Predict {
    network: Network,
    texts: Texts,
    device: Device,
}

impl Predict {
    fn new(job: &Job) -> Result<Self> {
        let (device, name) = (device(job)?, bert::held_out(job)?);
        let texts = Texts::take(&tensors::weights(job, &name)?, &name, device)?;
        let weights = weights(job, "checkpoint", device)?;
        let network = Network::new(&Config::read(job)?, &weights, bert::is_pooled(job))?;
        Ok(Self { network, texts: texts.first(job.usize("batch")?, &name)?, device })
    }
}

impl Implementation for Predict {
    type Input = ();
    type Output = Tensor;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Tensor> {
        Ok(tch::no_grad(|| self.network.forward(&self.texts)))
    }

    fn sync(&self) {
        synchronize(self.device);
    }

    fn outputs(&self, logits: &Tensor) -> Result<Outputs> {
        Ok(Outputs::new().array("logits", tensors::array(logits)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        self.texts.work()
    }
}
