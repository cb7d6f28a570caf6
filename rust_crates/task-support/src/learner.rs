//! A network that learns by acting, as far as the tasks of reinforcement learning ask a framework for it.
//!
//! Not for what it learns from: each task asks for an update of its own besides.

use duet_worker::{Job, Outputs, Result};

use crate::cartpole::Observation;

/// A network and the optimiser that changes it.
pub trait Learner: Sized {
    /// Weights by name, as the framework holds them.
    type Weights;

    /// Read named weights.
    fn read(job: &Job, name: &str) -> Result<Self::Weights>;

    /// Copy `weights` into a network, for an Adam that has seen nothing.
    fn new(weights: &Self::Weights, learning_rate: f64) -> Result<Self>;

    /// Return what the network says of one observation, without a gradient: a number for each action.
    fn answer(&self, observation: &Observation) -> Result<Vec<f32>>;

    /// Add every weight to `outputs`, after `weights.`.
    fn weights(&self, outputs: Outputs) -> Result<Outputs>;

    /// Hand over the weights after all updates with the loss before each, and what the first update alone did: `first` has
    /// taken it and still holds its gradients.
    fn trained(&self, losses: &[f64], first: &Self, first_loss: f64) -> Result<Outputs>;
}

/// What every member's learner starts from.
#[derive(Debug)]
pub(crate) struct Start<L: Learner> {
    initial: L::Weights,
    learning_rate: f64,
}

impl<L: Learner> Start<L> {
    pub(crate) fn read(job: &Job) -> Result<Self> {
        let start = Self { initial: L::read(job, "initial")?, learning_rate: job.f64("learning_rate")? };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        start.learner()?;
        Ok(start)
    }

    /// Return an untrained copy.
    pub(crate) fn learner(&self) -> Result<L> {
        L::new(&self.initial, self.learning_rate)
    }
}

/// Turn losses back to the 32-bit floats they were computed as.
#[expect(clippy::cast_possible_truncation, reason = "they were widened from f32, or are means of such")]
pub fn narrow(losses: &[f64]) -> Vec<f32> {
    losses.iter().map(|&loss| loss as f32).collect()
}
