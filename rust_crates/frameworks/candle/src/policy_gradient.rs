//! REINFORCE on candle; `task_support` has the loop around the policy.

use candle_core::{D, Device, Tensor};
use candle_nn::{Module as _, ops};
use duet_worker::{Registry, Result};
use task_support::cartpole::Observation;
use task_support::policy_gradient::{self, Policy, SMALLEST_DEVIATION};

use crate::perceptron::Learner;

/// Register whole runs and acting.
pub fn register(registry: &mut Registry) {
    policy_gradient::register::<Learner>(registry);
}

impl Policy for Learner {
    fn right(&self, observation: &Observation) -> Result<f64> {
        let shares = ops::softmax_last_dim(&self.infer(observation)?)?;
        Ok(f64::from(shares.flatten_all()?.get(1)?.to_scalar::<f32>()?))
    }

    fn update(&mut self, observations: &[Observation], actions: &[i64], returns: &[f32]) -> Result<f64> {
        let length = actions.len();
        let returns = Tensor::from_slice(returns, length, &Device::Cpu)?;
        let deviation = (returns.var(0)?.sqrt()? + SMALLEST_DEVIATION)?;
        let weights = returns.broadcast_sub(&returns.mean(0)?)?.broadcast_div(&deviation)?;
        let observed = Tensor::from_slice(observations.as_flattened(), (length, 4), &Device::Cpu)?;
        let log_policy = ops::log_softmax(&self.network.forward(&observed)?, D::Minus1)?;
        let taken =
            log_policy.gather(&Tensor::from_slice(actions, (length, 1), &Device::Cpu)?, 1)?.squeeze(1)?;
        let loss = (taken * weights)?.mean_all()?.neg()?;
        self.step(loss.backward()?)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}
