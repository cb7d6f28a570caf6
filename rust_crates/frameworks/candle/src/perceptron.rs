//! Networks of linear layers with ReLU between them: what the tasks of reinforcement learning share.
//!
//! Not for learning: each task has its own loss.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use candle_nn::{
    Activation, AdamW, Module as _, Optimizer as _, ParamsAdamW, Sequential, VarBuilder, linear, seq,
};
use duet_rooms::cartpole::Observation;
use duet_rooms::learner::{self, narrow};
use duet_worker::{Error, Job, Outputs, Result};

use crate::tensors::{self, Variables, Weights};

/// A network, its variables and the optimiser that changes them.
pub struct Learner {
    pub variables: Variables,
    pub network: Sequential,
    /// Reads the same variables, but takes no notes for gradients: what `no_grad` is elsewhere.
    acting: Sequential,
    optimizer: AdamW,
    gradients: Option<GradStore>,
}

impl Learner {
    /// Return what the network makes of one observation (1 × 2).
    pub fn ask(&self, observation: &Observation) -> candle_core::Result<Tensor> {
        self.acting.forward(&Tensor::from_slice(observation, (1, 4), &Device::Cpu)?)
    }

    /// Take one step against `gradients`.
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
        // Without decay of weights AdamW is Adam.
        let params = ParamsAdamW { lr: learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
        let optimizer = AdamW::new(variables.values().cloned().collect(), params)?;
        let tensors = variables.iter().map(|(name, each)| (name.clone(), each.as_tensor().clone()));
        Ok(Self {
            network: build(tensors.collect())?,
            acting: fixed(&variables)?,
            variables,
            optimizer,
            gradients: None,
        })
    }

    fn answer(&self, observation: &Observation) -> Result<Vec<f32>> {
        Ok(self.ask(observation)?.flatten_all()?.to_vec1()?)
    }

    fn weights(&self, outputs: Outputs) -> Result<Outputs> {
        tensors::weights_of(outputs, "weights", &self.variables)
    }

    fn trained(&self, losses: &[f64], first: &Self, first_loss: f64) -> Result<Outputs> {
        let gradients = first.gradients.as_ref();
        let gradients = gradients.ok_or_else(|| Error::failed("no update was taken; ask for more steps"))?;
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from f32")]
        let first_loss = first_loss as f32;
        let first = (&first.variables, first_loss, gradients);
        tensors::trained((&self.variables, &narrow(losses)), first, |_| true)
    }
}

/// Build a network that reads `variables` as they are at each call, and has no gradients.
pub fn fixed(variables: &Variables) -> Result<Sequential> {
    build(variables.iter().map(|(name, each)| (name.clone(), each.as_detached_tensor())).collect())
}

/// Build the network that `weights` are of, under the names of PyTorch's `Sequential`.
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
