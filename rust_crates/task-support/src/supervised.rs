//! Training on given batches: the scaffold that every framework and task of supervised learning shares.
//!
//! Each framework computes its own forward pass, loss and step, because these are what the suite compares.

use std::collections::BTreeMap;

use duet_worker::{Array, Error, Implementation, Outputs, Result};

/// Arrays by the names that PyTorch gives to weights.
pub type Named = BTreeMap<String, Array>;

/// How a framework trains a model.
pub trait Training {
    /// The model and the optimiser that changes it.
    type Learner;
    /// What one step reads.
    type Batch;
    /// The gradients of one step; `()` where the learner holds them.
    type Gradients;

    /// Return an untrained learner. Not timed.
    fn learner(&self) -> Result<Self::Learner>;

    /// Take one step and return the loss before it.
    ///
    /// Call `inspect` once the gradients are known, before the weights change. It does nothing in a timed step.
    fn step(
        &self,
        learner: &mut Self::Learner,
        batch: &Self::Batch,
        inspect: impl FnOnce(&Self::Learner, &Self::Gradients) -> Result<()>,
    ) -> Result<f64>;

    /// Return the weights that the task compares. Not timed.
    fn weights(&self, learner: &Self::Learner) -> Result<Named>;

    /// Return the gradient of each trainable weight. Not timed.
    fn gradients(&self, learner: &Self::Learner, gradients: &Self::Gradients) -> Result<Named>;

    /// Return the logits of an untrained learner on the first batch, for tasks that compare them. Not timed.
    fn first_logits(&self, _learner: &Self::Learner, _batch: &Self::Batch) -> Result<Option<Array>> {
        Ok(None)
    }

    /// Wait until the device has finished. Timed, once per round.
    fn sync(&self) {}
}

/// The first steps of training from given weights, one batch per step.
pub struct Train<T: Training> {
    training: T,
    batches: Vec<T::Batch>,
    work: BTreeMap<String, u64>,
}

impl<T: Training> Train<T> {
    /// Train on `batches`, at least one; `work` is what one call processes, by unit.
    pub fn new(training: T, batches: Vec<T::Batch>, work: BTreeMap<String, u64>) -> Result<Self> {
        // Weights that do not fit are an error in the job, so report them while preparing.
        training.learner()?;
        Ok(Self { training, batches, work })
    }
}

impl<T: Training> Implementation for Train<T> {
    type Input = T::Learner;
    /// The learner and the loss before each step; returning the optimiser keeps its drop out of the timed region.
    type Output = (T::Learner, Vec<f64>);

    fn fresh(&self) -> Result<T::Learner> {
        self.training.learner()
    }

    fn run(&self, mut learner: T::Learner) -> Result<(T::Learner, Vec<f64>)> {
        let steps = self.batches.iter().map(|batch| self.training.step(&mut learner, batch, |_, _| Ok(())));
        let losses = steps.collect::<Result<_>>()?;
        Ok((learner, losses))
    }

    fn sync(&self) {
        self.training.sync();
    }

    /// Repeat the first step outside the timed region, to report its effect alone.
    fn outputs(&self, (learner, losses): &(T::Learner, Vec<f64>)) -> Result<Outputs> {
        let (training, batch) = (&self.training, &self.batches[0]);
        let mut first = training.learner()?;
        let logits = training.first_logits(&first, batch)?;
        let mut gradients = Named::new();
        let loss = training.step(&mut first, batch, |learner, found| {
            gradients = training.gradients(learner, found)?;
            Ok(())
        })?;
        let first = FirstStep { loss, weights: training.weights(&first)?, gradients };
        let outputs = outputs(losses, training.weights(learner)?, first);
        Ok(logits.into_iter().fold(outputs, |outputs, logits| outputs.array("first_logits", logits)))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        self.work.clone()
    }
}

/// The effect of the first step alone.
pub(crate) struct FirstStep {
    /// The loss before the step.
    pub loss: f64,
    /// The weights after the step.
    pub weights: Named,
    /// The gradients of the step.
    pub gradients: Named,
}

/// Return the outputs of training, under the names that the parity rules use.
pub(crate) fn outputs(losses: &[f64], weights: Named, first: FirstStep) -> Outputs {
    let outputs = Outputs::new()
        .array("loss", narrow(losses))
        .array("first_loss", narrow(&[first.loss]))
        .loss(losses.to_vec());
    let kinds = [("weights", weights), ("first_weights", first.weights), ("first_gradient", first.gradients)];
    kinds.into_iter().fold(outputs, |outputs, (kind, arrays)| with_prefix(outputs, kind, arrays))
}

/// Add `arrays` to `outputs`, each name after `prefix` and a dot.
pub(crate) fn with_prefix(outputs: Outputs, prefix: &str, arrays: Named) -> Outputs {
    arrays
        .into_iter()
        .fold(outputs, |outputs, (name, array)| outputs.array(format!("{prefix}.{name}"), array))
}

/// Return `losses` as the 32-bit floats that the framework computed.
#[expect(clippy::cast_possible_truncation, reason = "they were widened from f32, or are means of such")]
pub(crate) fn narrow(losses: &[f64]) -> Vec<f32> {
    losses.iter().map(|&loss| loss as f32).collect()
}

/// Check that `count` is between 1 and `length`, the number of entries of data file `name`.
pub fn check_count(name: &str, count: usize, length: usize) -> Result<()> {
    if (1..=length).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name} has {length} entries, but the job asks for {count}; ask for 1 to {length}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gradient descent on w²/2 at a rate that halves the weight; each batch scales the loss.
    struct Halving;

    impl Training for Halving {
        type Learner = f32;
        type Batch = f32;
        type Gradients = f32;

        fn learner(&self) -> Result<f32> {
            Ok(8.0)
        }

        fn step(
            &self,
            learner: &mut f32,
            batch: &f32,
            inspect: impl FnOnce(&f32, &f32) -> Result<()>,
        ) -> Result<f64> {
            let (loss, gradient) = (batch * *learner * *learner / 2.0, batch * *learner);
            inspect(learner, &gradient)?;
            *learner -= gradient / 2.0;
            Ok(f64::from(loss))
        }

        fn weights(&self, learner: &f32) -> Result<Named> {
            Ok(Named::from([("w".to_owned(), Array::from(*learner))]))
        }

        fn gradients(&self, _: &f32, gradients: &f32) -> Result<Named> {
            self.weights(gradients)
        }

        fn first_logits(&self, learner: &f32, _: &f32) -> Result<Option<Array>> {
            Ok(Some(Array::from(*learner)))
        }
    }

    #[test]
    fn outputs_hold_all_steps_and_the_first_step_alone() {
        let train = Train::new(Halving, vec![1.0, 1.0], BTreeMap::new()).unwrap();
        let run = train.run(train.fresh().unwrap()).unwrap();
        assert_eq!((2.0, vec![32.0, 8.0]), run);
        let expected = Outputs::new()
            .array("loss", vec![32.0_f32, 8.0])
            .array("first_loss", vec![32.0_f32])
            .array("weights.w", 2.0_f32)
            .array("first_weights.w", 4.0_f32)
            .array("first_gradient.w", 8.0_f32)
            .array("first_logits", 8.0_f32);
        assert_eq!(expected.digest(), train.outputs(&run).unwrap().digest());
    }

    #[test]
    fn a_count_must_be_within_the_entries() {
        assert!(check_count("batches", 3, 3).is_ok());
        for count in [0, 4] {
            assert!(check_count("batches", count, 3).unwrap_err().message.contains("ask for 1 to 3"));
        }
    }
}
