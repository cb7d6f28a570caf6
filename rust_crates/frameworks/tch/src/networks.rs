//! Training and prediction with any libtorch network: the part that the tasks of images and sequences share.
//!
//! Initial weights and batches are files, so every member starts from and reads the same ones.

use duet_worker::{Call, Error, Implementation, Job, Registry, Result, training_work};
use task_support::supervised::{Named, Train, Training};
use tch::nn::{self, OptimizerConfig as _};
use tch::{Cuda, Device, Reduction, Tensor};

use crate::tensors::{self, Learner, Weights};

/// Takes examples and returns logits (examples × classes).
pub type Forward = Box<dyn Fn(&Tensor) -> Tensor>;

/// Takes the path for the variables, the weights that will be copied into them, which give the sizes, and whether to train.
pub type Build = fn(&nn::Path, &Weights, bool) -> Result<Forward>;

/// Register both phases of one network.
pub fn register(registry: &mut Registry, task: &str, algorithm: &str, build: Build) {
    registry.add(task, algorithm, "train", move |job| train(job, build));
    registry.add(task, algorithm, "predict", move |job| predict(job, build));
}

/// Build a network with copies of `weights`; return its variables and its forward pass.
fn network(weights: &Weights, build: Build, train: bool, device: Device) -> Result<(nn::VarStore, Forward)> {
    let variables = nn::VarStore::new(device);
    let forward = build(&variables.root(), weights, train)?;
    tensors::copy_into(&variables, weights)?;
    Ok((variables, forward))
}

/// Take the first steps of training.
fn train(job: &Job, build: Build) -> Result<Train<Classifier>> {
    let device = device(job)?;
    let batches = tensors::batches(job, "batches", device)?;
    let classifier = Classifier {
        build,
        device,
        examples: tensors::floats(job, "x_train")?.to_device(device),
        labels: tensors::integers(job, "labels_train")?.to_device(device),
        initial: tensors::weights(job, &format!("initial_{}", job.algorithm()))?,
        learning_rate: job.f64("learning_rate")?,
    };
    let work = training_work(classifier.labels.numel(), batches[0].numel(), batches.len());
    Train::new(classifier, batches, work)
}

/// A network to train, and its examples.
struct Classifier {
    build: Build,
    device: Device,
    examples: Tensor,
    labels: Tensor,
    initial: Weights,
    learning_rate: f64,
}

impl Training for Classifier {
    type Learner = Learner<Forward>;
    type Batch = Tensor;
    type Gradients = ();

    fn learner(&self) -> Result<Learner<Forward>> {
        let (variables, model) = network(&self.initial, self.build, true, self.device)?;
        let optimizer = nn::Adam::default().build(&variables, self.learning_rate)?;
        Ok(Learner { variables, model, optimizer })
    }

    fn step(
        &self,
        learner: &mut Learner<Forward>,
        rows: &Tensor,
        inspect: impl FnOnce(&Learner<Forward>, &()) -> Result<()>,
    ) -> Result<f64> {
        let (examples, labels) =
            (self.examples.f_index_select(0, rows)?, self.labels.f_index_select(0, rows)?);
        learner.optimizer.zero_grad();
        let logits = (learner.model)(&examples);
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);
        learner.descend(&loss, inspect)
    }

    fn weights(&self, learner: &Learner<Forward>) -> Result<Named> {
        tensors::named(&learner.variables)
    }

    fn gradients(&self, learner: &Learner<Forward>, (): &()) -> Result<Named> {
        tensors::gradients(&learner.variables)
    }

    fn sync(&self) {
        synchronize(self.device);
    }
}

/// Run a trained network forward over one batch.
fn predict(job: &Job, build: Build) -> Result<impl Implementation + use<>> {
    let device = device(job)?;
    let examples = tensors::first(&tensors::floats(job, "x_test")?, job.usize("batch")?, "x_test")?;
    let (_, forward) = network(&tensors::weights(job, "checkpoint")?, build, false, device)?;
    let (examples, samples) = (examples.to_device(device), usize::try_from(examples.size()[0])?);
    let run = move || Ok(tch::no_grad(|| forward(&examples)));
    Ok(Call::new(run, tensors::logits).sync(move || synchronize(device)).work("samples", samples))
}

/// Read the device that the job names.
pub fn device(job: &Job) -> Result<Device> {
    let name = job.device();
    let number = name.strip_prefix("cuda:").and_then(|number| number.parse().ok());
    match (name, number) {
        ("cpu", _) => Ok(Device::Cpu),
        (_, Some(number)) if i64::try_from(number)? < Cuda::device_count() => Ok(Device::Cuda(number)),
        _ => Err(Error::unsupported(format!(
            "device {name:?} is not available: libtorch finds {} CUDA devices; use cpu",
            Cuda::device_count()
        ))),
    }
}

/// Wait for a GPU; on a CPU a call has finished when it returns.
pub fn synchronize(device: Device) {
    if let Device::Cuda(number) = device {
        Cuda::synchronize(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
