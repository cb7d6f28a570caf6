//! Networks of linear layers with ReLU between them: what the tasks of reinforcement learning share.
//!
//! Not for learning: each task has its own loss.

use duet_worker::Result;
use tch::nn::{self, LinearConfig, VarStore};
use tch::{Device, Tensor};

use crate::tensors::{self, Weights};

/// A network, its variables and the optimiser that changes them.
pub struct Learner {
    pub variables: VarStore,
    pub network: nn::Sequential,
    pub optimizer: nn::Optimizer,
}

/// Build the network that `weights` are of, under the names of PyTorch's `Sequential`, and give it copies of them.
pub fn build(weights: &Weights) -> Result<(VarStore, nn::Sequential)> {
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
