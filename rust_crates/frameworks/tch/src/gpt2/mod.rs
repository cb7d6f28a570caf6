//! GPT-2 on libtorch: training, prediction and generation.
//!
//! Initial weights and batches are files, so every member starts from and reads the same ones.

use std::collections::BTreeMap;

use duet_worker::{Call, Error, Implementation, Job, Outputs, Registry, Result, Spans};
use task_support::gpt2::{self, Config, Task, Watch, rates};
use task_support::supervised::{Named, Train, Training};
use tch::nn::{self, OptimizerConfig as _};
use tch::{Device, Reduction, Tensor};

use crate::networks::{device, synchronize};
use crate::tensors::{self, Learner, Weights};

mod model;

use model::{Cache, Model};

/// The label of a position without a next token, the last one of a window.
const IGNORED: i64 = -100;

/// Register every use of the model.
pub fn register(registry: &mut Registry) {
    registry.add("gpt2", "language_modeling", "train", train);
    registry.add("gpt2", "language_modeling", "predict", predict);
    registry.add("gpt2", "generation", "generate", Generate::new);
}

// --- training --------------------------------------------------------------------------------------------------------

/// Take the first steps of training.
fn train(job: &Job) -> Result<Train<LanguageModel>> {
    let device = device(job)?;
    let batches = tensors::batches(job, "batches", device)?;
    let rates = rates(job, batches.len())?;
    let model = LanguageModel {
        config: Config::read(job)?,
        device,
        windows: tensors::integers(job, "x_train")?.to_device(device),
        first_rate: rates[0],
        weight_decay: job.f64("weight_decay")?,
        initial: tensors::weights(job, "initial")?,
    };
    let count = batches.iter().map(Tensor::numel).sum();
    let work = gpt2::training_work(count, usize::try_from(model.windows.size()[1])?, batches.len());
    Train::new(model, batches.into_iter().zip(rates).collect(), work)
}

/// A model to train, and its windows of text.
struct LanguageModel {
    config: Config,
    device: Device,
    windows: Tensor,
    first_rate: f64,
    weight_decay: f64,
    initial: Weights,
}

impl Training for LanguageModel {
    type Learner = Learner<Model>;
    /// Rows of windows, and the learning rate.
    type Batch = (Tensor, f64);
    type Gradients = ();

    fn learner(&self) -> Result<Learner<Model>> {
        let (variables, model) = Model::new(&self.config, &self.initial, self.device)?;
        let adam = nn::AdamW { wd: self.weight_decay, ..nn::AdamW::default() };
        let optimizer = adam.build(&variables, self.first_rate)?;
        Ok(Learner { variables, model, optimizer })
    }

    fn step(
        &self,
        learner: &mut Learner<Model>,
        (rows, rate): &(Tensor, f64),
        inspect: impl FnOnce(&Learner<Model>, &()) -> Result<()>,
    ) -> Result<f64> {
        let windows = self.windows.f_index_select(0, rows)?;
        learner.optimizer.set_lr(*rate);
        learner.optimizer.zero_grad();
        let loss = next_token_loss(&learner.model.read(&windows), &windows);
        learner.descend(&loss, inspect)
    }

    fn weights(&self, learner: &Learner<Model>) -> Result<Named> {
        tensors::named(&learner.variables)
    }

    fn gradients(&self, learner: &Learner<Model>, (): &()) -> Result<Named> {
        tensors::gradients(&learner.variables)
    }

    fn sync(&self) {
        synchronize(self.device);
    }
}

/// Return the mean cross entropy of `logits` with the next tokens.
fn next_token_loss(logits: &Tensor, windows: &Tensor) -> Tensor {
    let next = windows.constant_pad_nd([0, 1]).narrow(1, 1, windows.size()[1]).contiguous();
    // The last token of each window has no next token, and tch can only pad with zero.
    let _ = next.narrow(1, -1, 1).fill_(IGNORED);
    let vocabulary = logits.size()[2];
    let logits = logits.view([-1, vocabulary]);
    logits.cross_entropy_loss::<Tensor>(&next.view(-1), None, Reduction::Mean, IGNORED, 0.0)
}

// --- prediction ------------------------------------------------------------------------------------------------------

/// Read some windows of held-out text and compute how well the model predicts each next token.
fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let device = device(job)?;
    let windows = tensors::first(&tensors::integers(job, "x_test")?, job.usize("batch")?, "x_test")?;
    let (windows, model) = (windows.to_device(device), model(job, device)?);
    let count = windows.numel();
    let read = move || {
        let logits = tch::no_grad(|| model.read(&windows));
        let loss = next_token_loss(&logits, &windows);
        synchronize(device);
        Ok((logits, loss))
    };
    let outputs = |(logits, loss): &(Tensor, Tensor)| {
        let loss = tensors::array(&loss.view(1))?;
        Ok(Outputs::new().array("logits", tensors::array(logits)?).array("loss", loss))
    };
    Ok(Call::new(read, outputs).work("tokens", count))
}

/// Return the model that a job describes, with the weights in the file that it names.
fn model(job: &Job, device: Device) -> Result<Model> {
    let (_, model) = Model::new(&Config::read(job)?, &tensors::weights(job, job.str("weights")?)?, device)?;
    Ok(model)
}

// --- generation ------------------------------------------------------------------------------------------------------

/// Greedy generation from a prompt, with a cache of keys and values.
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
        let capacity = self.task.prompt.len() + self.task.new_tokens;
        let mut cache = Some(Cache::new(&self.model.config, capacity, self.device)?);
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
        tch::no_grad(|| self.write())
    }

    fn sync(&self) {
        synchronize(self.device);
    }

    fn outputs(&self, written: &Written) -> Result<Outputs> {
        let tokens = Vec::<i64>::try_from(Tensor::cat(&written.tokens, 1).view(-1))
            .map_err(|why| Error::failed(format!("cannot read the tokens: {why}")))?;
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
