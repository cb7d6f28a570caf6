//! Deep Q-learning on candle; `task_support` has the loop around the network.

use candle_core::{Device, Tensor};
use candle_nn::{Module as _, Sequential, loss};
use duet_worker::{Registry, Result};
use task_support::cartpole::Observation;
use task_support::dqn::{self, ActionValues, Rule};
use task_support::replay::Batch;

use crate::perceptron::{self, Learner};
use crate::tensors::{self, Variables};

/// Register the updates, whole runs and acting; the tch worker offers the environment, which is plain Rust.
pub fn register(registry: &mut Registry) {
    dqn::register::<Learner>(registry);
}

impl ActionValues for Learner {
    type Target = (Variables, Sequential);

    fn target(&self) -> Result<Self::Target> {
        let variables =
            tensors::variables(self.variables.iter().map(|(name, each)| (name, each.as_tensor())))?;
        let network = perceptron::fixed(&variables)?;
        Ok((variables, network))
    }

    fn align(&self, target: &mut Self::Target) -> Result<()> {
        for (name, each) in &self.variables {
            target.0[name].set(each)?;
        }
        Ok(())
    }

    fn best(&self, observation: &Observation) -> Result<i64> {
        Ok(i64::from(self.infer(observation)?.flatten_all()?.argmax(0)?.to_scalar::<u32>()?))
    }

    fn update(&mut self, target: &Self::Target, batch: &Batch, rule: Rule) -> Result<f64> {
        let size = batch.actions.len();
        let observations = |flat: &[f32]| Tensor::from_slice(flat, (size, 4), &Device::Cpu);
        let best = target.1.forward(&observations(&batch.after)?)?.max(1)?;
        let ahead =
            Tensor::from_slice(&batch.fell, size, &Device::Cpu)?.affine(-rule.discount, rule.discount)?;
        let goal = ((ahead * best)? + 1.0)?;
        let actions = Tensor::from_slice(&batch.actions, (size, 1), &Device::Cpu)?;
        let estimates = self.network.forward(&observations(&batch.before)?)?;
        // With delta 1 this is PyTorch's smooth L1 loss.
        let loss = loss::huber(&estimates.gather(&actions, 1)?.squeeze(1)?, &goal, 1.0)?;
        let mut gradients = loss.backward()?;
        tensors::clip_norm(&mut gradients, &self.variables, rule.clip)?;
        self.step(gradients)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}
