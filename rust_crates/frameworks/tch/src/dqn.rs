//! Deep Q-learning on libtorch; `task_support` has the loop around the network.

use duet_worker::{Call, Registry, Result};
use task_support::cartpole::{self, Observation};
use task_support::dqn::{self, ActionValues, Rule};
use task_support::replay::Batch;
use tch::nn::{self, Module as _};
use tch::{Reduction, Tensor};

use crate::perceptron::Learner;

/// Register the environment, the updates, whole runs and acting.
pub fn register(registry: &mut Registry) {
    registry.add("dqn", "cartpole", "environment", |job| {
        let starts = cartpole::starts(job)?;
        let mut actions = job.array_i64("actions")?.1;
        actions.truncate(job.usize("steps")?);
        let steps = actions.len();
        Ok(Call::new(move || cartpole::act(&starts, &actions), |trace: &Vec<_>| cartpole::outputs(trace))
            .work("steps", steps))
    });
    dqn::register::<Learner>(registry);
}

impl ActionValues for Learner {
    type Target = (nn::VarStore, nn::Sequential);

    fn target(&self) -> Result<Self::Target> {
        let mut target = self.copied()?;
        target.0.freeze();
        Ok(target)
    }

    fn align(&self, target: &mut Self::Target) -> Result<()> {
        Ok(target.0.copy(&self.variables)?)
    }

    fn best(&self, observation: &Observation) -> Result<i64> {
        Ok(self.infer(observation).argmax(None, false).int64_value(&[]))
    }

    fn update(&mut self, target: &Self::Target, batch: &Batch, rule: Rule) -> Result<f64> {
        let observations = |flat: &[f32]| Tensor::from_slice(flat).view([-1, 4]);
        let goal = tch::no_grad(|| {
            let best = target.1.forward(&observations(&batch.after)).max_dim(1, false).0;
            (1.0 - Tensor::from_slice(&batch.fell)) * rule.discount * best + 1.0
        });
        let actions = Tensor::from_slice(&batch.actions).unsqueeze(1);
        let estimates = self.network.forward(&observations(&batch.before));
        let estimate = estimates.gather(1, &actions, false).squeeze_dim(1);
        let loss = estimate.smooth_l1_loss(&goal, Reduction::Mean, 1.0);
        self.optimizer.zero_grad();
        loss.backward();
        self.optimizer.clip_grad_norm(rule.clip);
        self.optimizer.step();
        Ok(loss.double_value(&[]))
    }
}
