//! Networks of linear layers with ReLU between them, which the tasks of reinforcement learning share.
//!
//! Each task has its own loss.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, AdamW, Module as _, Optimizer as _, Sequential, VarBuilder, linear, seq};
use duet_worker::{Error, Job, Result};
use task_support::cartpole::Observation;
use task_support::learner;
use task_support::supervised::Named;

use crate::tensors::{self, Variables, Weights};

/// A network, its variables and the optimiser that changes them.
pub struct Learner {
    pub variables: Variables,
    pub network: Sequential,
    /// Reads the same variables without tracking gradients, as under PyTorch's `no_grad`.
    acting: Sequential,
    optimizer: AdamW,
    gradients: Option<GradStore>,
}

impl Learner {
    /// Return the network's output for one observation (1 × 2).
    pub fn infer(&self, observation: &Observation) -> candle_core::Result<Tensor> {
        self.acting.forward(&Tensor::from_slice(observation, (1, 4), &Device::Cpu)?)
    }

    /// Take one optimiser step with `gradients`.
    pub fn step(&mut self, gradients: GradStore) -> Result<()> {
        self.optimizer.step(&gradients)?;
        self.gradients = Some(gradients);
        Ok(())
    }
}

impl learner::Learner for Learner {
    type Weights = Weights;

    fn read(job: &Job, name: &str) -> Result<Weights> {
        tensors::weights(job, name)
    }

    fn new(weights: &Weights, learning_rate: f64) -> Result<Self> {
        let variables = tensors::variables(weights.iter())?;
        let optimizer = tensors::adam(variables.values().cloned().collect(), learning_rate)?;
        Ok(Self {
            network: build(tensors::shared(&variables))?,
            acting: fixed(&variables)?,
            variables,
            optimizer,
            gradients: None,
        })
    }

    fn output(&self, observation: &Observation) -> Result<Vec<f32>> {
        Ok(self.infer(observation)?.flatten_all()?.to_vec1()?)
    }

    fn weights(&self) -> Result<Named> {
        tensors::named(&self.variables)
    }

    fn gradients(&self) -> Result<Named> {
        let gradients = self.gradients.as_ref();
        let gradients = gradients.ok_or_else(|| Error::failed("no update was taken; ask for more steps"))?;
        tensors::gradients(&self.variables, gradients)
    }
}

/// Build a network that reads the current values of `variables` and tracks no gradients.
pub fn fixed(variables: &Variables) -> Result<Sequential> {
    build(variables.iter().map(|(name, each)| (name.clone(), each.as_detached_tensor())).collect())
}

/// Build the network of `weights`, which have the names of PyTorch's `Sequential`.
fn build(weights: Weights) -> Result<Sequential> {
    let mut layers: Vec<(String, usize, usize)> = Vec::new();
    for (name, weight) in &weights {
        if let Some(layer) = name.strip_suffix(".weight") {
            let (outputs, inputs) = weight.dims2()?;
            layers.push((layer.to_owned(), inputs, outputs));
        }
    }
    layers.sort();
    let builder = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    let mut network = seq();
    for (number, (layer, inputs, outputs)) in layers.into_iter().enumerate() {
        if number > 0 {
            network = network.add(Activation::Relu);
        }
        network = network.add(linear(inputs, outputs, builder.pp(layer))?);
    }
    Ok(network)
}
