//! Training and running any network on candle: what the tasks of images and sequences share.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts from and sees the same.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW, VarBuilder, loss};
use duet_worker::{Implementation, Job, Outputs, Registry, Result, training_work};

use crate::tensors::{self, Variables, Weights};

/// Takes examples, returns logits (examples × classes).
pub type Forward = Box<dyn Fn(&Tensor) -> candle_core::Result<Tensor>>;

/// Takes where weights are found, all of them, which tell the sizes, and whether to train.
pub type Build = fn(VarBuilder, &Weights, bool) -> Result<Forward>;

/// Register how one network is trained.
pub fn register_train(registry: &mut Registry, task: &str, algorithm: &str, build: Build) {
    registry.add(task, algorithm, "train", move |job| Train::new(job, build));
}

/// Register how one network predicts.
pub fn register_predict(registry: &mut Registry, task: &str, algorithm: &str, build: Build) {
    registry.add(task, algorithm, "predict", move |job| Predict::new(job, build));
}

/// Build a network that reads `weights` themselves, not copies of them.
fn forward(weights: &Weights, build: Build, train: bool) -> Result<Forward> {
    build(VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu), weights, train)
}

/// Take the first steps of training from given weights, one batch a step.
struct Train {
    build: Build,
    examples: Tensor,
    labels: Tensor,
    batches: Vec<Tensor>,
    initial: Weights,
    learning_rate: f64,
}

impl Train {
    fn new(job: &Job, build: Build) -> Result<Self> {
        let steps = job.usize("steps")?;
        let batches = tensors::first(&tensors::integers(job, "batches")?, steps, "batches")?;
        let train = Self {
            build,
            examples: tensors::floats(job, "x_train")?,
            labels: tensors::integers(job, "labels_train")?,
            batches: (0..steps).map(|step| batches.get(step)).collect::<Result<_, _>>()?,
            initial: tensors::weights(job, &format!("initial_{}", job.algorithm()))?,
            learning_rate: job.f64("learning_rate")?,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    /// Take one step; return the loss before it and the gradients.
    fn step(&self, learner: &mut Learner, rows: &Tensor) -> Result<(f32, candle_core::backprop::GradStore)> {
        let (examples, labels) = (self.examples.index_select(rows, 0)?, self.labels.index_select(rows, 0)?);
        let loss = loss::cross_entropy(&(learner.forward)(&examples)?, &labels)?;
        let gradients = loss.backward()?;
        learner.optimizer.step(&gradients)?;
        Ok((loss.to_scalar()?, gradients))
    }
}

/// A network, its variables by name, and the optimiser that changes those that are learnt.
struct Learner {
    variables: Variables,
    forward: Forward,
    optimizer: AdamW,
}

/// Say whether a variable is only counted along, as the statistics of a batch norm are.
fn is_statistic(name: &str) -> bool {
    name.contains(".running_")
}

impl Implementation for Train {
    type Input = Learner;
    /// With the loss before each step; the optimiser goes along so that dropping it is not timed.
    type Output = (Learner, Vec<f32>);

    fn fresh(&self) -> Result<Learner> {
        let variables = tensors::variables(self.initial.iter())?;
        let tensors = variables.iter().map(|(name, each)| (name.clone(), each.as_tensor().clone())).collect();
        let learnt = variables.iter().filter(|(name, _)| !is_statistic(name)).map(|(_, each)| each.clone());
        // Without decay of weights AdamW is Adam.
        let params = ParamsAdamW { lr: self.learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
        let optimizer = AdamW::new(learnt.collect(), params)?;
        Ok(Learner { forward: forward(&tensors, self.build, true)?, variables, optimizer })
    }

    fn run(&self, mut learner: Learner) -> Result<(Learner, Vec<f32>)> {
        let losses: Result<_> =
            self.batches.iter().map(|rows| Ok(self.step(&mut learner, rows)?.0)).collect();
        Ok((learner, losses?))
    }

    /// The first step is taken again, off the clock, to tell what it alone does.
    fn outputs(&self, (learner, losses): &(Learner, Vec<f32>)) -> Result<Outputs> {
        let mut first = self.fresh()?;
        let (first_loss, gradients) = self.step(&mut first, &self.batches[0])?;
        tensors::trained((&learner.variables, losses), (&first.variables, first_loss, &gradients), |name| {
            !is_statistic(name)
        })
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let examples = self.labels.elem_count();
        training_work(examples, self.batches[0].elem_count(), self.batches.len())
    }
}

/// Run a trained network forward over one batch.
struct Predict {
    forward: Forward,
    examples: Tensor,
}

impl Predict {
    fn new(job: &Job, build: Build) -> Result<Self> {
        let examples = tensors::first(&tensors::floats(job, "x_test")?, job.usize("batch")?, "x_test")?;
        Ok(Self { forward: forward(&tensors::weights(job, "checkpoint")?, build, false)?, examples })
    }
}

impl Implementation for Predict {
    type Input = ();
    type Output = Tensor;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Tensor> {
        Ok((self.forward)(&self.examples)?)
    }

    fn outputs(&self, logits: &Tensor) -> Result<Outputs> {
        Ok(Outputs::new().array("logits", tensors::array(logits)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let examples = self.examples.dim(0).unwrap_or_default();
        BTreeMap::from([("samples".to_owned(), examples as u64)])
    }
}
