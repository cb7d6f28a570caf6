//! REINFORCE on libtorch; `task_support` has the loop around the policy.

use duet_worker::{Registry, Result};
use task_support::cartpole::Observation;
use task_support::policy_gradient::{self, Policy, SMALLEST_DEVIATION};
use tch::nn::Module as _;
use tch::{Kind, Tensor};

use crate::perceptron::Learner;

/// Register whole runs and acting.
pub fn register(registry: &mut Registry) {
    policy_gradient::register::<Learner>(registry);
}

impl Policy for Learner {
    fn right(&self, observation: &Observation) -> Result<f64> {
        Ok(self.infer(observation).softmax(0, None::<Kind>).double_value(&[1]))
    }

    fn update(&mut self, observations: &[Observation], actions: &[i64], returns: &[f32]) -> Result<f64> {
        let returns = Tensor::from_slice(returns);
        let weights = (&returns - returns.mean(None::<Kind>)) / (returns.std(true) + SMALLEST_DEVIATION);
        let observed = Tensor::from_slice(observations.as_flattened()).view([-1, 4]);
        let log_policy = self.network.forward(&observed).log_softmax(1, None::<Kind>);
        let taken = log_policy.gather(1, &Tensor::from_slice(actions).unsqueeze(1), false).squeeze_dim(1);
        let loss = -(taken * weights).mean(None::<Kind>);
        self.optimizer.zero_grad();
        loss.backward();
        self.optimizer.step();
        Ok(loss.double_value(&[]))
    }
}
