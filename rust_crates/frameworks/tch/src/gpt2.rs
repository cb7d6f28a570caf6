//! GPT-2 on libtorch: trained, reading and writing.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts from and sees the same.

use std::collections::BTreeMap;

use duet_rooms::gpt2::{Config, Task, Watch, rates};
use duet_worker::{Call, Error, Implementation, Job, Outputs, Registry, Result, Spans};
use tch::nn::{self, Init, OptimizerConfig as _, Path};
use tch::{Device, Kind, Reduction, Tensor};

use crate::networks::{device, synchronize};
use crate::tensors::{self, Weights};

/// What no token is called: the last of a window has none to foretell.
const IGNORED: i64 = -100;

/// Register every use of the model.
pub fn register(registry: &mut Registry) {
    registry.add("gpt2", "language_modeling", "train", Train::new);
    registry.add("gpt2", "language_modeling", "predict", predict);
    registry.add("gpt2", "generation", "generate", Generate::new);
}

// --- the model -------------------------------------------------------------------------------------------------------

/// The model and the variables it reads.
struct Model {
    variables: nn::VarStore,
    config: Config,
    words: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    last: Norm,
}

impl Model {
    fn new(config: &Config, weights: &Weights, device: Device) -> Result<Self> {
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
            variables,
        };
        tensors::copy_into(&model.variables, weights)?;
        Ok(model)
    }

    /// Return the logits (windows × positions × vocabulary) of `tokens` (windows × positions).
    fn read(&self, tokens: &Tensor) -> Tensor {
        self.head(&self.hidden(tokens, &mut None))
    }

    /// Return the logits (1 × vocabulary) of what follows `tokens` (1 × positions) and all that `cache` holds.
    fn next(&self, tokens: &Tensor, cache: &mut Option<Cache>) -> Tensor {
        self.head(&self.hidden(tokens, cache).narrow(1, -1, 1)).select(1, 0)
    }

    /// The embedding once more.
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

/// A layer whose weight is stored input × output, as GPT-2 was published.
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

/// A variable that the job's weights are copied into.
fn variable(path: &Path, name: &str, shape: &[i64]) -> Tensor {
    path.var(name, shape, Init::Const(0.0))
}

fn sizes(sizes: [usize; 2]) -> Result<[i64; 2]> {
    Ok([i64::try_from(sizes[0])?, i64::try_from(sizes[1])?])
}

// --- keys and values of what was read --------------------------------------------------------------------------------

/// The keys and values of every layer, with room for all that will be read.
struct Cache {
    layers: Vec<[Tensor; 2]>,
    length: i64,
}

/// One layer's share, of which the first `length` positions are filled.
struct Past<'a> {
    stored: &'a mut [Tensor; 2],
    length: i64,
}

impl Cache {
    fn new(config: &Config, room: usize, device: Device) -> Result<Self> {
        let [heads, room] = sizes([config.heads, room])?;
        let each = i64::try_from(config.width)? / heads;
        let empty = || Tensor::empty([1, heads, room, each], (Kind::Float, device));
        Ok(Self { layers: (0..config.layers).map(|_| [empty(), empty()]).collect(), length: 0 })
    }

    fn layer(&mut self, layer: usize) -> Past<'_> {
        Past { stored: &mut self.layers[layer], length: self.length }
    }
}

impl Past<'_> {
    /// Put new keys and values behind those that are there; return all.
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

// --- training --------------------------------------------------------------------------------------------------------

/// Take the first steps of training from given weights, one batch a step.
struct Train {
    config: Config,
    device: Device,
    windows: Tensor,
    batches: Vec<Tensor>,
    rates: Vec<f64>,
    weight_decay: f64,
    initial: Weights,
}

impl Train {
    fn new(job: &Job) -> Result<Self> {
        let (steps, device) = (job.usize("steps")?, device(job)?);
        let batches = tensors::first(&tensors::integers(job, "batches")?, steps, "batches")?;
        let train = Self {
            config: Config::read(job)?,
            device,
            windows: tensors::integers(job, "x_train")?.to_device(device),
            batches: batches.to_device(device).unbind(0),
            rates: rates(job, steps)?,
            weight_decay: job.f64("weight_decay")?,
            initial: tensors::weights(job, "initial")?,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    /// Take one step and return the loss before it.
    fn step(&self, learner: &mut Learner, rows: &Tensor, rate: f64) -> Result<f64> {
        let windows = self.windows.f_index_select(0, rows)?;
        learner.optimizer.set_lr(rate);
        learner.optimizer.zero_grad();
        let loss = foretold(&learner.model.read(&windows), &windows);
        loss.backward();
        learner.optimizer.step();
        Ok(loss.double_value(&[]))
    }
}

/// The mean cross entropy of `logits` with the token that came next.
fn foretold(logits: &Tensor, windows: &Tensor) -> Tensor {
    let next = windows.constant_pad_nd([0, 1]).narrow(1, 1, windows.size()[1]).contiguous();
    // The last of each window has no next one. tch pads with zero only.
    let _ = next.narrow(1, -1, 1).fill_(IGNORED);
    let vocabulary = logits.size()[2];
    let logits = logits.view([-1, vocabulary]);
    logits.cross_entropy_loss::<Tensor>(&next.view(-1), None, Reduction::Mean, IGNORED, 0.0)
}

/// A model and the optimiser that knows its weights.
struct Learner {
    model: Model,
    optimizer: nn::Optimizer,
}

impl Implementation for Train {
    type Input = Learner;
    /// With the loss before each step; the optimiser goes along so that dropping it is not timed.
    type Output = (Learner, Vec<f64>);

    fn fresh(&self) -> Result<Learner> {
        let model = Model::new(&self.config, &self.initial, self.device)?;
        let adam = nn::AdamW { wd: self.weight_decay, ..nn::AdamW::default() };
        let optimizer = adam.build(&model.variables, self.rates[0])?;
        Ok(Learner { model, optimizer })
    }

    fn run(&self, mut learner: Learner) -> Result<(Learner, Vec<f64>)> {
        let steps = self.batches.iter().zip(&self.rates);
        let losses: Result<_> = steps.map(|(rows, &rate)| self.step(&mut learner, rows, rate)).collect();
        Ok((learner, losses?))
    }

    fn sync(&self) {
        synchronize(self.device);
    }

    /// The first step is taken again, off the clock, to tell what it alone does.
    fn outputs(&self, (learner, losses): &(Learner, Vec<f64>)) -> Result<Outputs> {
        let mut first = self.fresh()?;
        let first_loss = self.step(&mut first, &self.batches[0], self.rates[0])?;
        #[expect(clippy::cast_possible_truncation, reason = "they were widened from f32")]
        let narrow = |losses: &[f64]| losses.iter().map(|&loss| loss as f32).collect::<Vec<_>>();
        let mut outputs = Outputs::new()
            .array("loss", narrow(losses))
            .array("first_loss", narrow(&[first_loss]))
            .loss(losses.clone());
        for (name, weight) in learner.model.variables.variables() {
            outputs = outputs.array(format!("weights.{name}"), tensors::array(&weight)?);
        }
        for (name, weight) in first.model.variables.variables() {
            outputs = outputs
                .array(format!("first_gradient.{name}"), tensors::array(&weight.grad())?)
                .array(format!("first_weights.{name}"), tensors::array(&weight)?);
        }
        Ok(outputs)
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let (windows, length) =
            (self.batches.iter().map(Tensor::numel).sum::<usize>(), self.windows.size()[1]);
        BTreeMap::from([
            ("tokens".to_owned(), windows as u64 * length.unsigned_abs()),
            ("steps".to_owned(), self.batches.len() as u64),
        ])
    }
}

// --- reading ---------------------------------------------------------------------------------------------------------

/// Read some windows of held-out text and say how likely each next token was.
fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let device = device(job)?;
    let windows = tensors::first(&tensors::integers(job, "x_test")?, job.usize("batch")?, "x_test")?;
    let (windows, model) = (windows.to_device(device), model(job, device)?);
    let count = windows.numel();
    let read = move || {
        let logits = tch::no_grad(|| model.read(&windows));
        let loss = foretold(&logits, &windows);
        synchronize(device);
        Ok((logits, loss))
    };
    let outputs = |(logits, loss): &(Tensor, Tensor)| {
        let loss = tensors::array(&loss.view(1))?;
        Ok(Outputs::new().array("logits", tensors::array(logits)?).array("loss", loss))
    };
    Ok(Call::new(read, outputs).work("tokens", count))
}

/// The model that a job describes, with the weights in the file it names.
fn model(job: &Job, device: Device) -> Result<Model> {
    Model::new(&Config::read(job)?, &tensors::weights(job, job.str("weights")?)?, device)
}

// --- writing ---------------------------------------------------------------------------------------------------------

/// Write on from a prompt, each time with the likeliest token.
struct Generate {
    model: Model,
    task: Task,
    prompt: Tensor,
    device: Device,
}

impl Generate {
    fn new(job: &Job) -> Result<Self> {
        let device = device(job)?;
        let model = model(job, device)?;
        let task = Task::read(job, &model.config)?;
        let prompt = Tensor::from_slice(&task.prompt).unsqueeze(0).to_device(device);
        Ok(Self { model, task, prompt, device })
    }

    fn write(&self) -> Result<Written> {
        let mut watch = Watch::start();
        let room = self.task.prompt.len() + self.task.new_tokens;
        let mut cache = Some(Cache::new(&self.model.config, room, self.device)?);
        let mut written = Written::default();
        let mut read = self.prompt.shallow_clone();
        for _ in 0..self.task.new_tokens {
            let logits = self.model.next(&read, &mut cache);
            read = logits.argmax(-1, true);
            written.logits.push(logits);
            written.tokens.push(read.shallow_clone());
            watch.token();
        }
        written.spans = watch.spans();
        Ok(written)
    }
}

/// The new tokens, the logits each was chosen by, and how long the first and the later ones took.
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
        tch::no_grad(|| self.write())
    }

    fn sync(&self) {
        synchronize(self.device);
    }

    fn outputs(&self, written: &Written) -> Result<Outputs> {
        let tokens = Vec::<i64>::try_from(Tensor::cat(&written.tokens, 1).view(-1))
            .map_err(|why| Error::failed(format!("tokens cannot be read: {why}")))?;
        let logits = tensors::array(&Tensor::cat(&written.logits, 0))?;
        Ok(Outputs::new().array("tokens", tokens).array("logits", logits))
    }

    fn spans(&self, written: &Written) -> Spans {
        written.spans.clone()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        self.task.work()
    }
}
