//! Training and running any network on burn: what the tasks of images and sequences share.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts from and sees the same.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use burn_autodiff::Autodiff;
use burn_core::module::{AutodiffModule, Module};
use burn_core::tensor::backend::Backend;
use burn_core::tensor::{Int, Tensor, TensorData};
use burn_flex::{Flex, FlexDevice};
use burn_nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn_optim::adaptor::OptimizerAdaptor;
use burn_optim::{Adam, AdamConfig, GradientsParams, Optimizer as _};
use duet_worker::{Array, Error, Implementation, Job, Outputs, Registry, Result, training_work};

use crate::layers::{Gradients, Named, Read, Values, Weights, floats};

/// burn's processor backend, with gradients.
pub type Learning = Autodiff<Flex>;

/// A network that reads examples of `D` dimensions.
pub trait Network<B: Backend, const D: usize>: Module<B> {
    /// Build it from PyTorch's weights.
    fn load(weights: &Weights) -> Result<Self>;

    /// Return logits (examples × classes).
    fn logits(&self, examples: Tensor<B, D>) -> Tensor<B, 2>;

    /// Read every parameter under PyTorch's name.
    fn read<R: Read<B>>(&self, named: &mut Named<R>) -> Result<()>;
}

/// Register how a network is trained.
pub fn register_train<N, const D: usize>(registry: &mut Registry, task: &str, algorithm: &str)
where
    N: Network<Learning, D> + AutodiffModule<Learning> + 'static,
{
    registry.add(task, algorithm, "train", Train::<N, D>::new);
}

/// Register how a network predicts.
pub fn register_predict<N, const D: usize>(registry: &mut Registry, task: &str, algorithm: &str)
where
    N: Network<Flex, D> + 'static,
{
    registry.add(task, algorithm, "predict", Predict::<N, D>::new);
}

/// Take the first steps of training from given weights, one batch a step.
struct Train<N, const D: usize> {
    examples: Tensor<Learning, D>,
    labels: Tensor<Learning, 1, Int>,
    batches: Vec<Tensor<Learning, 1, Int>>,
    batch: usize,
    initial: Weights,
    learning_rate: f64,
    loss: CrossEntropyLoss<Learning>,
    network: PhantomData<N>,
}

/// A network and the optimiser that remembers its steps; burn's steps take a network and return the next.
struct Learner<N: AutodiffModule<Learning>> {
    network: N,
    optimizer: OptimizerAdaptor<Adam, N, Learning>,
}

impl<N, const D: usize> Train<N, D>
where
    N: Network<Learning, D> + AutodiffModule<Learning>,
{
    fn new(job: &Job) -> Result<Self> {
        let steps = job.usize("steps")?;
        let (shape, rows) = job.array_i64("batches")?;
        let &[count, batch] = shape.as_slice() else {
            return Err(Error::invalid(format!(
                "batches has the shape {shape:?}; write it as steps × batch"
            )));
        };
        if steps < 1 || steps > count {
            return Err(Error::invalid(format!(
                "batches has {count} entries, {steps} are asked for; ask for 1 to {count}"
            )));
        }
        let batches = rows.chunks_exact(batch).take(steps).map(|rows| integers(rows.to_vec())).collect();
        let train = Self {
            examples: examples(job, "x_train", usize::MAX)?,
            labels: integers(job.array_i64("labels_train")?.1),
            batches,
            batch,
            initial: Weights::of(job, &format!("initial_{}", job.algorithm()))?,
            learning_rate: job.f64("learning_rate")?,
            loss: CrossEntropyLossConfig::new().init(&FlexDevice),
            network: PhantomData,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    /// Return the loss of one batch and its gradients.
    fn gradients(&self, network: &N, rows: &Tensor<Learning, 1, Int>) -> (f32, GradientsParams) {
        let examples = self.examples.clone().select(0, rows.clone());
        let labels = self.labels.clone().select(0, rows.clone());
        let loss = self.loss.forward(network.logits(examples), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), network);
        (loss.into_scalar(), gradients)
    }
}

impl<N, const D: usize> Implementation for Train<N, D>
where
    N: Network<Learning, D> + AutodiffModule<Learning>,
{
    type Input = Learner<N>;
    /// With the loss before each step; the optimiser goes along so that dropping it is not timed.
    type Output = (Learner<N>, Vec<f32>);

    fn fresh(&self) -> Result<Learner<N>> {
        // PyTorch's constant, which is not burn's.
        let optimizer = AdamConfig::new().with_epsilon(1e-8).init();
        Ok(Learner { network: N::load(&self.initial)?, optimizer })
    }

    fn run(&self, learner: Learner<N>) -> Result<(Learner<N>, Vec<f32>)> {
        let Learner { mut network, mut optimizer } = learner;
        let mut losses = Vec::with_capacity(self.batches.len());
        for rows in &self.batches {
            let (loss, gradients) = self.gradients(&network, rows);
            network = optimizer.step(self.learning_rate, network, gradients);
            losses.push(loss);
        }
        Ok((Learner { network, optimizer }, losses))
    }

    /// The first step is taken again, off the clock, to tell what it alone does.
    fn outputs(&self, (learner, losses): &(Learner<N>, Vec<f32>)) -> Result<Outputs> {
        let Learner { network: first, mut optimizer } = self.fresh()?;
        let (first_loss, gradients) = self.gradients(&first, &self.batches[0]);
        let gradient = named(&first, &Gradients::<Flex>(&gradients, PhantomData))?;
        let first = optimizer.step(self.learning_rate, first, gradients);
        let mut outputs = Outputs::new()
            .array("loss", losses.clone())
            .array("first_loss", vec![first_loss])
            .loss(losses.iter().copied().map(f64::from).collect());
        let kinds = [
            ("weights", named(&learner.network, &Values)?),
            ("first_weights", named(&first, &Values)?),
            ("first_gradient", gradient),
        ];
        for (kind, arrays) in kinds {
            for (name, array) in arrays {
                outputs = outputs.array(format!("{kind}.{name}"), array);
            }
        }
        Ok(outputs)
    }

    fn work(&self) -> BTreeMap<String, u64> {
        training_work(self.labels.dims()[0], self.batch, self.batches.len())
    }
}

fn named<N, R, const D: usize>(network: &N, reader: &R) -> Result<Vec<(String, Array)>>
where
    N: Network<Learning, D>,
    R: Read<Learning>,
{
    let mut named = Named::new(reader);
    network.read(&mut named)?;
    Ok(named.arrays)
}

/// Run a trained network forward over one batch.
struct Predict<N, const D: usize> {
    network: N,
    examples: Tensor<Flex, D>,
}

impl<N: Network<Flex, D>, const D: usize> Predict<N, D> {
    fn new(job: &Job) -> Result<Self> {
        let examples = examples(job, "x_test", job.usize("batch")?)?;
        Ok(Self { network: N::load(&Weights::of(job, "checkpoint")?)?, examples })
    }
}

impl<N: Network<Flex, D>, const D: usize> Implementation for Predict<N, D> {
    type Input = ();
    type Output = Tensor<Flex, 2>;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Tensor<Flex, 2>> {
        Ok(self.network.logits(self.examples.clone()))
    }

    fn outputs(&self, logits: &Tensor<Flex, 2>) -> Result<Outputs> {
        let logits = logits.to_data();
        let shape: Vec<usize> = logits.shape.to_vec();
        Ok(Outputs::new().array("logits", Array::shaped(floats(logits)?, &shape)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("samples".to_owned(), self.examples.dims()[0] as u64)])
    }
}

fn integers(values: Vec<i64>) -> Tensor<Learning, 1, Int> {
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), &FlexDevice)
}

/// Read the examples in data file `name`, all of them or the first `count`.
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
        if count < 1 || count > length {
            return Err(Error::invalid(format!(
                "{name} has {length} entries, {count} are asked for; ask for 1 to {length}"
            )));
        }
        values.truncate(values.len() / length * count);
        shape[0] = count;
    }
    Ok(Tensor::from_data(TensorData::new(values, shape), &FlexDevice))
}
