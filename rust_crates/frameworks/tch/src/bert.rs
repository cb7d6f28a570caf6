//! BERT on libtorch with a head: training of the last layer and the head, and prediction.
//!
//! Initial weights and batches are files, so every member starts from and reads the same ones.

use duet_worker::{Array, Call, Error, Implementation, Job, Registry, Result};
use task_support::bert::{self, Config};
use task_support::supervised::{Named, Train, Training};
use tch::nn::{self, OptimizerConfig as _};
use tch::{Device, Kind, Reduction, Tensor};

use crate::networks::{device, synchronize};
use crate::tensors::{self, Learner, Weights};

/// Register training and prediction with both heads.
pub fn register(registry: &mut Registry) {
    for algorithm in bert::HEADS {
        registry.add("bert", algorithm, "train", train);
        registry.add("bert", algorithm, "predict", predict);
    }
}

// --- the texts -------------------------------------------------------------------------------------------------------

/// Encoded texts (texts × tokens): token ids, token types, and the mask of tokens that are not padding.
struct Texts {
    ids: Tensor,
    types: Tensor,
    mask: Tensor,
}

impl Texts {
    /// Take the texts out of `arrays`, which were read from data file `name`.
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

    /// Return the number of texts and of tokens, without padding.
    fn count(&self) -> Result<(usize, usize)> {
        let tokens = self.mask.sum(Kind::Int64).int64_value(&[]);
        Ok((usize::try_from(self.ids.size()[0])?, usize::try_from(tokens)?))
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

    /// Return the logits: texts × classes, or texts × tokens × 2.
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
        // Without padding, attention needs no mask and takes a faster kernel.
        let mask = texts.mask.to_kind(Kind::Bool);
        let padded = mask.all().int64_value(&[]) == 0;
        let mask = padded.then(|| mask.view([count, 1, 1, length]).expand([count, 1, length, length], false));
        self.layers
            .iter()
            .fold(self.norm.forward(&placed), |states, layer| layer.forward(&states, mask.as_ref()))
    }

    /// Return the mean cross entropy of the classes, or of the first and last tokens of the answers.
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

/// Attention over all tokens and a hidden layer over each, with a skip connection round both.
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

/// Read the encoder and replace the weights that are in data file `trainable`.
fn weights(job: &Job, trainable: &str, device: Device) -> Result<Weights> {
    let mut all = tensors::weights(job, "encoder")?;
    all.extend(tensors::weights(job, trainable)?);
    Ok(all.into_iter().map(|(name, each)| (name, each.to_device(device))).collect())
}

// --- training --------------------------------------------------------------------------------------------------------

/// Take the first steps of training the last layer and the head.
fn train(job: &Job) -> Result<Train<Head>> {
    let (device, algorithm) = (device(job)?, job.algorithm());
    let (train, batches) = (format!("{algorithm}_train"), format!("{algorithm}_batches"));
    let arrays = tensors::weights(job, &train)?;
    let head = Head {
        config: Config::read(job)?,
        pooled: bert::is_pooled(job),
        device,
        texts: Texts::take(&arrays, &train, device)?,
        labels: find(&arrays, "labels", &train)?.to_device(device),
        weights: weights(job, &format!("{algorithm}_head"), device)?,
        learning_rate: job.f64("learning_rate")?,
    };
    let batches = tensors::batches(job, &batches, device)?;
    let (samples, tokens) = head.texts.rows(&Tensor::cat(&batches, 0)).count()?;
    let work = bert::training_work(samples, tokens, batches.len());
    Train::new(head, batches, work)
}

/// An encoder whose last layer and head are trained, and its examples.
struct Head {
    config: Config,
    pooled: bool,
    device: Device,
    texts: Texts,
    labels: Tensor,
    weights: Weights,
    learning_rate: f64,
}

/// Return a new variable with the values of `weight`; tch wants a path where PyTorch has dots.
fn variable(root: &nn::Path, name: &str, weight: &Tensor) -> Tensor {
    let (folders, last) = name.rsplit_once('.').unwrap_or(("", name));
    let path = folders.split('.').fold(root.clone(), |path, part| path / part);
    path.var_copy(last, weight)
}

impl Training for Head {
    type Learner = Learner<Network>;
    type Batch = Tensor;
    type Gradients = ();

    fn learner(&self) -> Result<Learner<Network>> {
        let variables = nn::VarStore::new(self.device);
        let root = variables.root();
        let own = |(name, weight): (&String, &Tensor)| {
            let trainable = self.config.is_trainable(name);
            (name.clone(), if trainable { variable(&root, name, weight) } else { weight.shallow_clone() })
        };
        let model = Network::new(&self.config, &self.weights.iter().map(own).collect(), self.pooled)?;
        let optimizer = nn::Adam::default().build(&variables, self.learning_rate)?;
        Ok(Learner { variables, model, optimizer })
    }

    fn step(
        &self,
        learner: &mut Learner<Network>,
        rows: &Tensor,
        inspect: impl FnOnce(&Learner<Network>, &()) -> Result<()>,
    ) -> Result<f64> {
        let (texts, labels) = (self.texts.rows(rows), self.labels.index_select(0, rows));
        learner.optimizer.zero_grad();
        let loss = learner.model.loss(&texts, &labels);
        learner.descend(&loss, inspect)
    }

    fn weights(&self, learner: &Learner<Network>) -> Result<Named> {
        tensors::named(&learner.variables)
    }

    fn gradients(&self, learner: &Learner<Network>, (): &()) -> Result<Named> {
        tensors::gradients(&learner.variables)
    }

    fn first_logits(&self, learner: &Learner<Network>, rows: &Tensor) -> Result<Option<Array>> {
        let logits = tch::no_grad(|| learner.model.forward(&self.texts.rows(rows)));
        Ok(Some(tensors::array(&logits)?))
    }

    fn sync(&self) {
        synchronize(self.device);
    }
}

// --- prediction ------------------------------------------------------------------------------------------------------

/// Run the encoder and its trained head forward over one batch.
fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let (device, name) = (device(job)?, bert::held_out(job)?);
    let texts = Texts::take(&tensors::weights(job, &name)?, &name, device)?;
    let texts = texts.first(job.usize("batch")?, &name)?;
    let weights = weights(job, "checkpoint", device)?;
    let network = Network::new(&Config::read(job)?, &weights, bert::is_pooled(job))?;
    let (samples, tokens) = texts.count()?;
    let call = Call::new(move || Ok(tch::no_grad(|| network.forward(&texts))), tensors::logits);
    Ok(call.sync(move || synchronize(device)).work("samples", samples).work("tokens", tokens))
}
