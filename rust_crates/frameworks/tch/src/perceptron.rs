//! Networks of linear layers with ReLU between them, which the tasks of reinforcement learning share.
//!
//! Each task has its own loss.

use duet_worker::{Job, Result};
use task_support::cartpole::Observation;
use task_support::learner;
use task_support::supervised::Named;
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
    /// Return a network with copies of the weights.
    pub fn copied(&self) -> Result<(VarStore, nn::Sequential)> {
        build(&self.variables.variables().into_iter().collect())
    }

    /// Return the network's output for one observation.
    pub fn infer(&self, observation: &Observation) -> Tensor {
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

    fn output(&self, observation: &Observation) -> Result<Vec<f32>> {
        Ok(self.infer(observation).try_into()?)
    }

    fn weights(&self) -> Result<Named> {
        tensors::named(&self.variables)
    }

    fn gradients(&self) -> Result<Named> {
        tensors::gradients(&self.variables)
    }
}

/// Build a network with copies of `weights`, which have the names of PyTorch's `Sequential`.
fn build(weights: &Weights) -> Result<(VarStore, nn::Sequential)> {
    let variables = VarStore::new(Device::Cpu);
    let mut network = nn::seq();
    for (number, weight) in weights.values().filter(|weight| weight.dim() == 2).enumerate() {
        if number > 0 {
            network = network.add_fn(Tensor::relu);
        }
        let (outputs, inputs) = weight.size2()?;
        // Activations count as layers, as in PyTorch.
        let path = variables.root() / (2 * number).to_string();
        network = network.add(nn::linear(path, inputs, outputs, LinearConfig::default()));
    }
    tensors::copy_into(&variables, weights)?;
    Ok((variables, network))
}
