//! The network of a reinforcement-learning task, as far as every such task needs it.
//!
//! Each task adds a trait of its own for the update it takes.

use duet_worker::{Job, Outputs, Result};

use crate::cartpole::Observation;
use crate::supervised::{self, FirstStep, Named};

/// A network and the optimiser that changes it.
pub trait Learner: Sized {
    /// Weights by name, as the framework holds them.
    type Weights;

    /// Read the named weights in data file `name`.
    fn read(job: &Job, name: &str) -> Result<Self::Weights>;

    /// Copy `weights` into a network with a new Adam optimiser.
    fn new(weights: &Self::Weights, learning_rate: f64) -> Result<Self>;

    /// Return the network's output for one observation, without computing gradients: one number per action.
    fn output(&self, observation: &Observation) -> Result<Vec<f32>>;

    /// Return every weight.
    fn weights(&self) -> Result<Named>;

    /// Return the gradients of the last update.
    fn gradients(&self) -> Result<Named>;
}

/// The weights and the learning rate that every member starts from.
#[derive(Debug)]
pub(crate) struct InitialState<L: Learner> {
    weights: L::Weights,
    learning_rate: f64,
}

impl<L: Learner> InitialState<L> {
    /// Read data file `initial` and the learning rate.
    pub(crate) fn read(job: &Job) -> Result<Self> {
        let state = Self { weights: L::read(job, "initial")?, learning_rate: job.f64("learning_rate")? };
        // Weights that do not fit are an error in the job, so report them while preparing.
        state.learner()?;
        Ok(state)
    }

    /// Return an untrained learner.
    pub(crate) fn learner(&self) -> Result<L> {
        L::new(&self.weights, self.learning_rate)
    }
}

/// Return the outputs of training: of all updates, and of the first alone, as `first` is after it.
pub(crate) fn outputs<L: Learner>(
    learner: &L,
    losses: &[f64],
    first: &L,
    first_loss: f64,
) -> Result<Outputs> {
    let first = FirstStep { loss: first_loss, weights: first.weights()?, gradients: first.gradients()? };
    Ok(supervised::outputs(losses, learner.weights()?, first))
}
