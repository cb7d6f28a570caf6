//! Networks of linear layers with ReLU between them: what the tasks of reinforcement learning share.
//!
//! Not for learning: each task has its own loss.

use duet_rooms::cartpole::Observation;
use duet_rooms::learner;
use duet_worker::{Job, Outputs, Result};
use tch::nn::{self, LinearConfig, Module as _, OptimizerConfig as _, VarStore};
use tch::{Device, Tensor};

use crate::tensors::{self, Weights};

/// A network, its variables and the optimiser that changes them.
pub struct Learner {
    pub variables: VarStore,
    pub network: nn::Sequential,
    pub optimizer: nn::Optimizer,
}

impl Learner {
    /// Return a network of its own with the same weights.
    pub fn copied(&self) -> Result<(VarStore, nn::Sequential)> {
        build(&self.variables.variables().into_iter().collect())
    }

    /// Return what the network says of one observation.
    pub fn ask(&self, observation: &Observation) -> Tensor {
        tch::no_grad(|| self.network.forward(&Tensor::from_slice(observation)))
    }
}

impl learner::Learner for Learner {
    type Weights = Weights;

    fn read(job: &Job, name: &str) -> Result<Weights> {
        tensors::weights(job, name)
    }

    fn new(weights: &Weights, learning_rate: f64) -> Result<Self> {
        let (variables, network) = build(weights)?;
        let optimizer = nn::Adam::default().build(&variables, learning_rate)?;
        Ok(Self { variables, network, optimizer })
    }

    fn answer(&self, observation: &Observation) -> Result<Vec<f32>> {
        Ok(self.ask(observation).try_into()?)
    }

    fn weights(&self, outputs: Outputs) -> Result<Outputs> {
        tensors::weights_of(outputs, "weights", &self.variables)
    }

    fn trained(&self, losses: &[f64], first: &Self, first_loss: f64) -> Result<Outputs> {
        tensors::trained(&self.variables, losses, &first.variables, first_loss)
    }
}

/// Build the network that `weights` are of, under the names of PyTorch's `Sequential`, and give it copies of them.
fn build(weights: &Weights) -> Result<(VarStore, nn::Sequential)> {
    let variables = VarStore::new(Device::Cpu);
    let mut network = nn::seq();
    for (number, weight) in weights.values().filter(|weight| weight.dim() == 2).enumerate() {
        if number > 0 {
            network = network.add_fn(Tensor::relu);
        }
        let (outputs, inputs) = weight.size2()?;
        // Functions count among the layers, as they do in PyTorch.
        let path = variables.root() / (2 * number).to_string();
        network = network.add(nn::linear(path, inputs, outputs, LinearConfig::default()));
    }
    tensors::copy_into(&variables, weights)?;
    Ok((variables, network))
}
