//! Convolutional networks on libtorch.
//!
//! Not for drawing weights or batches: both arrive as files, so that every member starts and sees the same.

use std::collections::BTreeMap;

use duet_worker::{Implementation, Job, Outputs, Registry, Result};
use tch::nn::{self, Module as _, OptimizerConfig as _};
use tch::{Device, Reduction, Tensor};

use crate::tensors;

/// Register every network.
pub fn register(registry: &mut Registry) {
    registry.add("cnn", "lenet", "train", Train::new);
    registry.add("cnn", "lenet", "predict", Predict::new);
}

/// LeNet-5 for images of 28×28 and ten classes, with ReLU and max pooling.
struct LeNet {
    variables: nn::VarStore,
    conv1: nn::Conv2D,
    conv2: nn::Conv2D,
    fc1: nn::Linear,
    fc2: nn::Linear,
    fc3: nn::Linear,
}

impl LeNet {
    /// Build the network and give it copies of `weights`.
    fn with(weights: &BTreeMap<String, Tensor>) -> Result<Self> {
        let variables = nn::VarStore::new(Device::Cpu);
        let root = variables.root();
        let padded = nn::ConvConfig { padding: 2, ..nn::ConvConfig::default() };
        let network = Self {
            conv1: nn::conv2d(&root / "conv1", 1, 6, 5, padded),
            conv2: nn::conv2d(&root / "conv2", 6, 16, 5, nn::ConvConfig::default()),
            fc1: nn::linear(&root / "fc1", 400, 120, nn::LinearConfig::default()),
            fc2: nn::linear(&root / "fc2", 120, 84, nn::LinearConfig::default()),
            fc3: nn::linear(&root / "fc3", 84, 10, nn::LinearConfig::default()),
            variables,
        };
        tensors::copy_into(&network.variables, weights)?;
        Ok(network)
    }

    /// Return logits (images × 10).
    fn forward(&self, images: &Tensor) -> Tensor {
        let x = self.conv1.forward(images).relu().max_pool2d_default(2);
        let x = self.conv2.forward(&x).relu().max_pool2d_default(2).flatten(1, -1);
        let x = self.fc1.forward(&x).relu();
        let x = self.fc2.forward(&x).relu();
        self.fc3.forward(&x)
    }
}

/// Take the first steps of training from given weights, one batch a step.
struct Train {
    images: Tensor,
    labels: Tensor,
    batches: Vec<Tensor>,
    initial: BTreeMap<String, Tensor>,
    learning_rate: f64,
}

impl Train {
    fn new(job: &Job) -> Result<Self> {
        let steps = job.usize("steps")?;
        let train = Self {
            images: tensors::floats(job, "images_train")?,
            labels: tensors::integers(job, "labels_train")?,
            batches: tensors::first(&tensors::integers(job, "batches")?, steps, "batches")?.unbind(0),
            initial: tensors::weights(job, "initial")?,
            learning_rate: job.f64("learning_rate")?,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        LeNet::with(&train.initial)?;
        Ok(train)
    }
}

/// A network and the optimiser that knows its weights.
struct Learner {
    network: LeNet,
    optimizer: nn::Optimizer,
}

impl Implementation for Train {
    type Input = Learner;
    /// With the loss before each step; the optimiser goes along so that dropping it is not timed.
    type Output = (Learner, Vec<f64>);

    fn fresh(&self) -> Result<Learner> {
        let network = LeNet::with(&self.initial)?;
        let optimizer = nn::Adam::default().build(&network.variables, self.learning_rate)?;
        Ok(Learner { network, optimizer })
    }

    fn run(&self, mut learner: Learner) -> Result<(Learner, Vec<f64>)> {
        let mut losses = Vec::with_capacity(self.batches.len());
        for rows in &self.batches {
            let (images, labels) =
                (self.images.f_index_select(0, rows)?, self.labels.f_index_select(0, rows)?);
            learner.optimizer.zero_grad();
            let logits = learner.network.forward(&images);
            let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, 0.0);
            loss.backward();
            learner.optimizer.step();
            losses.push(loss.double_value(&[]));
        }
        Ok((learner, losses))
    }

    fn outputs(&self, (learner, losses): &(Learner, Vec<f64>)) -> Result<Outputs> {
        // They were computed as 32-bit floats, so nothing is lost.
        #[expect(clippy::cast_possible_truncation, reason = "they were widened from f32")]
        let narrow: Vec<f32> = losses.iter().map(|&loss| loss as f32).collect();
        let first = narrow[..1].to_vec();
        let outputs = Outputs::new().array("loss", narrow).array("first_loss", first).loss(losses.clone());
        learner.network.variables.variables().iter().try_fold(outputs, |outputs, (name, weight)| {
            Ok(outputs.array(format!("weights.{name}"), tensors::array(weight)?))
        })
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let samples: usize = self.batches.iter().map(Tensor::numel).sum();
        BTreeMap::from([
            ("samples".to_owned(), samples as u64),
            ("steps".to_owned(), self.batches.len() as u64),
        ])
    }
}

/// Run a trained network forward over one batch.
struct Predict {
    network: LeNet,
    images: Tensor,
}

impl Predict {
    fn new(job: &Job) -> Result<Self> {
        let images =
            tensors::first(&tensors::floats(job, "images_test")?, job.usize("batch")?, "images_test")?;
        Ok(Self { network: LeNet::with(&tensors::weights(job, "checkpoint")?)?, images })
    }
}

impl Implementation for Predict {
    type Input = ();
    type Output = Tensor;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Tensor> {
        Ok(tch::no_grad(|| self.network.forward(&self.images)))
    }

    fn outputs(&self, logits: &Tensor) -> Result<Outputs> {
        Ok(Outputs::new().array("logits", tensors::array(logits)?))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        let images = self.images.size().first().copied().unwrap_or_default();
        BTreeMap::from([("samples".to_owned(), images.unsigned_abs())])
    }
}
