//! GPT-2 on libtorch: trained, reading and writing.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts from and sees the same.

use std::collections::BTreeMap;

use duet_rooms::gpt2::{Config, Task, Watch, rates};
use duet_worker::{Call, Error, Implementation, Job, Outputs, Registry, Result, Spans};
use tch::nn::{self, OptimizerConfig as _};
use tch::{Device, Reduction, Tensor};

use crate::networks::{device, synchronize};
use crate::tensors::{self, Weights};

mod model;

use model::{Cache, Model};

/// What no token is called: the last of a window has none to foretell.
const IGNORED: i64 = -100;

/// Register every use of the model.
pub fn register(registry: &mut Registry) {
    registry.add("gpt2", "language_modeling", "train", Train::new);
    registry.add("gpt2", "language_modeling", "predict", predict);
    registry.add("gpt2", "generation", "generate", Generate::new);
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
        tensors::trained(&learner.model.variables, losses, &first.model.variables, first_loss)
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
