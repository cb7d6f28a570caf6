//! Training and prediction with any burn network: the part that the tasks of images and sequences share.
//!
//! Initial weights and batches are files, so every member starts from and reads the same ones.

use std::marker::PhantomData;

use burn_autodiff::Autodiff;
use burn_core::module::{AutodiffModule, Module};
use burn_core::tensor::backend::Backend;
use burn_core::tensor::{Int, Tensor, TensorData};
use burn_flex::{Flex, FlexDevice};
use burn_nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn_optim::adaptor::OptimizerAdaptor;
use burn_optim::{Adam, AdamConfig, GradientsParams, Optimizer as _};
use duet_worker::{Call, Error, Implementation, Job, Outputs, Registry, Result, training_work};
use task_support::supervised::{Named, Train, Training, check_count};

use crate::layers::{Collector, Gradients, Read, Values, Weights, array};

/// burn's CPU backend, with gradients.
pub type Learning = Autodiff<Flex>;

/// A network that reads examples of `D` dimensions.
pub trait Network<B: Backend, const D: usize>: Module<B> {
    /// Build the network from PyTorch's weights.
    fn load(weights: &Weights) -> Result<Self>;

    /// Return the logits (examples × classes).
    fn logits(&self, examples: Tensor<B, D>) -> Tensor<B, 2>;

    /// Collect every parameter under PyTorch's name.
    fn read<R: Read<B>>(&self, into: &mut Collector<R>) -> Result<()>;
}

/// Register how a network is trained.
pub fn register_train<N, const D: usize>(registry: &mut Registry, task: &str, algorithm: &str)
where
    N: Network<Learning, D> + AutodiffModule<Learning> + 'static,
{
    registry.add(task, algorithm, "train", train::<N, D>);
}

/// Register how a network predicts.
pub fn register_predict<N, const D: usize>(registry: &mut Registry, task: &str, algorithm: &str)
where
    N: Network<Flex, D> + 'static,
{
    registry.add(task, algorithm, "predict", predict::<N, D>);
}

/// Take the first steps of training.
fn train<N, const D: usize>(job: &Job) -> Result<Train<Classifier<N, D>>>
where
    N: Network<Learning, D> + AutodiffModule<Learning>,
{
    let steps = job.usize("steps")?;
    let (shape, rows) = job.array_i64("batches")?;
    let &[count, batch] = shape.as_slice() else {
        return Err(Error::invalid(format!("batches has the shape {shape:?}; write it as steps × batch")));
    };
    check_count("batches", steps, count)?;
    let batches = rows.chunks_exact(batch).take(steps).map(|rows| integers(rows.to_vec())).collect();
    let classifier = Classifier {
        examples: examples(job, "x_train", usize::MAX)?,
        labels: integers(job.array_i64("labels_train")?.1),
        initial: Weights::of(job, &format!("initial_{}", job.algorithm()))?,
        learning_rate: job.f64("learning_rate")?,
        loss: CrossEntropyLossConfig::new().init(&FlexDevice),
        network: PhantomData,
    };
    let work = training_work(classifier.labels.dims()[0], batch, steps);
    Train::new(classifier, batches, work)
}

/// A network to train, and its examples.
struct Classifier<N, const D: usize> {
    examples: Tensor<Learning, D>,
    labels: Tensor<Learning, 1, Int>,
    initial: Weights,
    learning_rate: f64,
    loss: CrossEntropyLoss<Learning>,
    network: PhantomData<N>,
}

/// A network and its optimiser.
struct Learner<N: AutodiffModule<Learning>> {
    /// Empty only within a step: burn's optimiser takes a network and returns the next one.
    network: Option<N>,
    optimizer: OptimizerAdaptor<Adam, N, Learning>,
}

impl<N: AutodiffModule<Learning>> Learner<N> {
    fn network(&self) -> Result<&N> {
        self.network.as_ref().ok_or_else(lost)
    }
}

/// Return the error of a learner whose last step failed.
fn lost() -> Error {
    Error::failed("the network was lost in a step that failed")
}

impl<N, const D: usize> Training for Classifier<N, D>
where
    N: Network<Learning, D> + AutodiffModule<Learning>,
{
    type Learner = Learner<N>;
    type Batch = Tensor<Learning, 1, Int>;
    type Gradients = GradientsParams;

    fn learner(&self) -> Result<Learner<N>> {
        // PyTorch's constant, which differs from burn's default.
        let optimizer = AdamConfig::new().with_epsilon(1e-8).init();
        Ok(Learner { network: Some(N::load(&self.initial)?), optimizer })
    }

    fn step(
        &self,
        learner: &mut Learner<N>,
        rows: &Tensor<Learning, 1, Int>,
        inspect: impl FnOnce(&Learner<N>, &GradientsParams) -> Result<()>,
    ) -> Result<f64> {
        let network = learner.network()?;
        let examples = self.examples.clone().select(0, rows.clone());
        let labels = self.labels.clone().select(0, rows.clone());
        let loss = self.loss.forward(network.logits(examples), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), network);
        let loss: f32 = loss.into_scalar();
        inspect(learner, &gradients)?;
        let network = learner.network.take().ok_or_else(lost)?;
        learner.network = Some(learner.optimizer.step(self.learning_rate, network, gradients));
        Ok(f64::from(loss))
    }

    fn weights(&self, learner: &Learner<N>) -> Result<Named> {
        named(learner.network()?, &Values)
    }

    fn gradients(&self, learner: &Learner<N>, gradients: &GradientsParams) -> Result<Named> {
        named(learner.network()?, &Gradients::<Flex>(gradients, PhantomData))
    }
}

/// Return what `reader` reads of every parameter.
fn named<N, R, const D: usize>(network: &N, reader: &R) -> Result<Named>
where
    N: Network<Learning, D>,
    R: Read<Learning>,
{
    let mut collected = Collector::new(reader);
    network.read(&mut collected)?;
    Ok(collected.arrays)
}

/// Run a trained network forward over one batch.
fn predict<N: Network<Flex, D> + 'static, const D: usize>(
    job: &Job,
) -> Result<impl Implementation + use<N, D>> {
    let examples: Tensor<Flex, D> = examples(job, "x_test", job.usize("batch")?)?;
    let network = N::load(&Weights::of(job, "checkpoint")?)?;
    let samples = examples.dims()[0];
    let outputs = |logits: &Tensor<Flex, 2>| Ok(Outputs::new().array("logits", array(logits)?));
    Ok(Call::new(move || Ok(network.logits(examples.clone())), outputs).work("samples", samples))
}

fn integers(values: Vec<i64>) -> Tensor<Learning, 1, Int> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), &FlexDevice)
}

/// Read the first `count` examples in data file `name`, or all of them if `count` is `usize::MAX`.
pub fn examples<B: Backend<Device = FlexDevice>, const D: usize>(
    job: &Job,
    name: &str,
    count: usize,
) -> Result<Tensor<B, D>> {
    let (mut shape, mut values) = job.array_f32(name)?;
    if shape.len() != D {
        return Err(Error::invalid(format!("{name} has the shape {shape:?}; give it {D} dimensions")));
    }
    let length = shape[0];
    if count != usize::MAX {
        check_count(name, count, length)?;
        values.truncate(values.len() / length * count);
        shape[0] = count;
    }
    Ok(Tensor::from_data(TensorData::new(values, shape), &FlexDevice))
}
