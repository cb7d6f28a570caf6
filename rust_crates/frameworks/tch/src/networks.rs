//! Training and running any network on libtorch: what the tasks of images and sequences share.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts from and sees the same.

use std::collections::BTreeMap;

use duet_worker::{Error, Implementation, Job, Outputs, Registry, Result, training_work};
use tch::nn::{self, OptimizerConfig as _};
use tch::{Cuda, Device, Reduction, Tensor};

use crate::tensors::{self, Weights};

/// Takes examples, returns logits (examples × classes).
pub type Forward = Box<dyn Fn(&Tensor) -> Tensor>;

/// Takes where variables go, the weights that will be copied into them, which tell the sizes, and whether to train.
pub type Build = fn(&nn::Path, &Weights, bool) -> Result<Forward>;

/// Register both phases of one network.
pub fn register(registry: &mut Registry, task: &str, algorithm: &str, build: Build) {
    registry.add(task, algorithm, "train", move |job| Train::new(job, build));
    registry.add(task, algorithm, "predict", move |job| Predict::new(job, build));
}

/// Layers and the variables they read.
struct Network {
    variables: nn::VarStore,
    forward: Forward,
}

impl Network {
    /// Build the network and give it copies of `weights`.
    fn with(weights: &Weights, build: Build, train: bool, device: Device) -> Result<Self> {
        let variables = nn::VarStore::new(device);
        let forward = build(&variables.root(), weights, train)?;
        tensors::copy_into(&variables, weights)?;
        Ok(Self { variables, forward })
    }
}

/// Take the first steps of training from given weights, one batch a step.
struct Train {
    build: Build,
    device: Device,
    examples: Tensor,
    labels: Tensor,
    batches: Vec<Tensor>,
    initial: Weights,
    learning_rate: f64,
}

impl Train {
    fn new(job: &Job, build: Build) -> Result<Self> {
        let (steps, device) = (job.usize("steps")?, device(job)?);
        let batches = tensors::first(&tensors::integers(job, "batches")?, steps, "batches")?;
        let train = Self {
            build,
            device,
            examples: tensors::floats(job, "x_train")?.to_device(device),
            labels: tensors::integers(job, "labels_train")?.to_device(device),
            batches: batches.to_device(device).unbind(0),
            initial: tensors::weights(job, &format!("initial_{}", job.algorithm()))?,
            learning_rate: job.f64("learning_rate")?,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    /// Take one step and return the loss before it.
    fn step(&self, learner: &mut Learner, rows: &Tensor) -> Result<f64> {
        let (examples, labels) =
            (self.examples.f_index_select(0, rows)?, self.labels.f_index_select(0, rows)?);
        learner.optimizer.zero_grad();
        let logits = (learner.network.forward)(&examples);
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);
        loss.backward();
        learner.optimizer.step();
        Ok(loss.double_value(&[]))
    }
}

/// A network and the optimiser that knows its weights.
struct Learner {
    network: Network,
    optimizer: nn::Optimizer,
}

impl Implementation for Train {
    type Input = Learner;
    /// With the loss before each step; the optimiser goes along so that dropping it is not timed.
    type Output = (Learner, Vec<f64>);

    fn fresh(&self) -> Result<Learner> {
        let network = Network::with(&self.initial, self.build, true, self.device)?;
        let optimizer = nn::Adam::default().build(&network.variables, self.learning_rate)?;
        Ok(Learner { network, optimizer })
    }

    fn run(&self, mut learner: Learner) -> Result<(Learner, Vec<f64>)> {
        let losses: Result<_> = self.batches.iter().map(|rows| self.step(&mut learner, rows)).collect();
        Ok((learner, losses?))
    }

    fn sync(&self) {
        synchronize(self.device);
    }

    /// The first step is taken again, off the clock, to tell what it alone does.
    fn outputs(&self, (learner, losses): &(Learner, Vec<f64>)) -> Result<Outputs> {
        let mut first = self.fresh()?;
        let first_loss = self.step(&mut first, &self.batches[0])?;
        tensors::trained(&learner.network.variables, losses, &first.network.variables, first_loss)
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let examples = self.labels.numel();
        training_work(examples, self.batches[0].numel(), self.batches.len())
    }
}

/// Run a trained network forward over one batch.
struct Predict {
    network: Network,
    examples: Tensor,
}

impl Predict {
    fn new(job: &Job, build: Build) -> Result<Self> {
        let device = device(job)?;
        let examples = tensors::first(&tensors::floats(job, "x_test")?, job.usize("batch")?, "x_test")?;
        let network = Network::with(&tensors::weights(job, "checkpoint")?, build, false, device)?;
        Ok(Self { network, examples: examples.to_device(device) })
    }
}

impl Implementation for Predict {
    type Input = ();
    type Output = Tensor;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Tensor> {
        Ok(tch::no_grad(|| (self.network.forward)(&self.examples)))
    }

    fn sync(&self) {
        synchronize(self.examples.device());
    }

    fn outputs(&self, logits: &Tensor) -> Result<Outputs> {
        Ok(Outputs::new().array("logits", tensors::array(logits)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let examples = self.examples.size().first().copied().unwrap_or_default();
        BTreeMap::from([("samples".to_owned(), examples.unsigned_abs())])
    }
}

/// Read which device the job names.
pub fn device(job: &Job) -> Result<Device> {
    let name = job.device();
    let number = name.strip_prefix("cuda:").and_then(|number| number.parse().ok());
    match (name, number) {
        ("cpu", _) => Ok(Device::Cpu),
        (_, Some(number)) if i64::try_from(number)? < Cuda::device_count() => Ok(Device::Cuda(number)),
        _ => Err(Error::unsupported(format!(
            "device {name:?} cannot be used: libtorch sees {} CUDA devices; use cpu",
            Cuda::device_count()
        ))),
    }
}

/// Wait for a GPU; a processor is done when a call returns.
pub fn synchronize(device: Device) {
    if let Device::Cuda(number) = device {
        Cuda::synchronize(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
