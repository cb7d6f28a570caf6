//! Training and prediction with any candle network: the part that the tasks of images and sequences share.
//!
//! Initial weights and batches are files, so every member starts from and reads the same ones.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, loss};
use duet_worker::{Call, Implementation, Job, Registry, Result, training_work};
use task_support::supervised::{Named, Train, Training};

use crate::tensors::{self, Learner, Weights};

/// Takes examples and returns logits (examples × classes).
pub type Forward = Box<dyn Fn(&Tensor) -> candle_core::Result<Tensor>>;

/// Takes a builder over the weights, the weights themselves, which give the sizes, and whether to train.
pub type Build = fn(VarBuilder, &Weights, bool) -> Result<Forward>;

/// Register how one network is trained.
pub fn register_train(registry: &mut Registry, task: &str, algorithm: &str, build: Build) {
    registry.add(task, algorithm, "train", move |job| train(job, build));
}

/// Register how one network predicts.
pub fn register_predict(registry: &mut Registry, task: &str, algorithm: &str, build: Build) {
    registry.add(task, algorithm, "predict", move |job| predict(job, build));
}

/// Build a network that reads `weights` themselves, not copies of them.
fn forward(weights: &Weights, build: Build, train: bool) -> Result<Forward> {
    build(VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu), weights, train)
}

/// Take the first steps of training.
fn train(job: &Job, build: Build) -> Result<Train<Network>> {
    let batches = tensors::batches(job, "batches")?;
    let network = Network {
        build,
        examples: tensors::floats(job, "x_train")?,
        labels: tensors::integers(job, "labels_train")?,
        initial: tensors::weights(job, &format!("initial_{}", job.algorithm()))?,
        learning_rate: job.f64("learning_rate")?,
    };
    let work = training_work(network.labels.elem_count(), batches[0].elem_count(), batches.len());
    Train::new(network, batches, work)
}

/// A network to train, and its examples.
struct Network {
    build: Build,
    examples: Tensor,
    labels: Tensor,
    initial: Weights,
    learning_rate: f64,
}

/// Return whether a variable is trainable; the running statistics of a batch norm are not.
fn is_trainable(name: &str) -> bool {
    !name.contains(".running_")
}

impl Training for Network {
    type Learner = Learner<Forward>;
    type Batch = Tensor;
    type Gradients = GradStore;

    fn learner(&self) -> Result<Learner<Forward>> {
        let variables = tensors::variables(self.initial.iter())?;
        let model = forward(&tensors::shared(&variables), self.build, true)?;
        let trainable = variables.iter().filter(|(name, _)| is_trainable(name));
        let optimizer = tensors::adam(trainable.map(|(_, each)| each.clone()).collect(), self.learning_rate)?;
        Ok(Learner { variables, model, optimizer })
    }

    fn step(
        &self,
        learner: &mut Learner<Forward>,
        rows: &Tensor,
        inspect: impl FnOnce(&Learner<Forward>, &GradStore) -> Result<()>,
    ) -> Result<f64> {
        let (examples, labels) = (self.examples.index_select(rows, 0)?, self.labels.index_select(rows, 0)?);
        let loss = loss::cross_entropy(&(learner.model)(&examples)?, &labels)?;
        learner.descend(&loss, inspect)
    }

    fn weights(&self, learner: &Learner<Forward>) -> Result<Named> {
        tensors::named(&learner.variables)
    }

    fn gradients(&self, learner: &Learner<Forward>, gradients: &GradStore) -> Result<Named> {
        tensors::gradients(learner.variables.iter().filter(|(name, _)| is_trainable(name)), gradients)
    }
}

/// Run a trained network forward over one batch.
fn predict(job: &Job, build: Build) -> Result<impl Implementation + use<>> {
    let examples = tensors::first(&tensors::floats(job, "x_test")?, job.usize("batch")?, "x_test")?;
    let forward = forward(&tensors::weights(job, "checkpoint")?, build, false)?;
    let samples = examples.dim(0)?;
    Ok(Call::new(move || Ok(forward(&examples)?), tensors::logits).work("samples", samples))
}
