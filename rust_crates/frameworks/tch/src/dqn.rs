//! Deep Q-learning (Mnih et al. 2015) on libtorch, with the rules of Stable-Baselines3.
//!
//! Not for the world and the replay, which have nothing to do with libtorch: `duet_rooms` has them.

use std::collections::BTreeMap;

use duet_rooms::cartpole::{self, End, Laps, Observation, State, World};
use duet_rooms::replay::{Batch, Draws, Replay, Rules};
use duet_worker::{Call, Implementation, Job, Outputs, Registry, Result, Spans};
use tch::nn::{self, Module as _, OptimizerConfig as _};
use tch::{Reduction, Tensor};

use crate::perceptron::{self, Learner as Base};
use crate::tensors::{self, Weights};

/// Register the world, the updates and whole runs.
pub fn register(registry: &mut Registry) {
    registry.add("dqn", "cartpole", "environment", |job| {
        let starts = cartpole::starts(job)?;
        let mut actions = job.array_i64("actions")?.1;
        actions.truncate(job.usize("steps")?);
        let steps = actions.len();
        Ok(Call::new(move || cartpole::act(&starts, &actions), |met: &Vec<_>| cartpole::outputs(met))
            .work("steps", steps))
    });
    registry.add("dqn", "dqn", "update", Update::new);
    registry.add("dqn", "dqn", "train", Train::new);
}

/// Weights to start from, and the rules of one update.
struct Setting {
    initial: Weights,
    learning_rate: f64,
    discount: f64,
    clip: f64,
}

/// What learning changes: the network with its optimiser, and the target it is drawn to.
struct Learner {
    online: Base,
    target: (nn::VarStore, nn::Sequential),
}

impl Setting {
    fn read(job: &Job) -> Result<Self> {
        Ok(Self {
            initial: tensors::weights(job, "initial")?,
            learning_rate: job.f64("learning_rate")?,
            discount: job.f64("discount")?,
            clip: job.f64("clip")?,
        })
    }

    /// Return untrained copies and an optimiser that has seen nothing.
    fn fresh(&self) -> Result<Learner> {
        let (variables, network) = perceptron::build(&self.initial)?;
        let mut target = perceptron::build(&self.initial)?;
        target.0.freeze();
        let optimizer = nn::Adam::default().build(&variables, self.learning_rate)?;
        Ok(Learner { online: Base { variables, network, optimizer }, target })
    }

    /// Take one step towards the target's estimate and return the loss before it.
    fn update(&self, learner: &mut Learner, batch: &Batch) -> f64 {
        let observations = |flat: &[f32]| Tensor::from_slice(flat).view([-1, 4]);
        let goal = tch::no_grad(|| {
            let best = learner.target.1.forward(&observations(&batch.after)).max_dim(1, false).0;
            (1.0 - Tensor::from_slice(&batch.fell)) * self.discount * best + 1.0
        });
        let actions = Tensor::from_slice(&batch.actions).unsqueeze(1);
        let estimates = learner.online.network.forward(&observations(&batch.before));
        let estimate = estimates.gather(1, &actions, false).squeeze_dim(1);
        let loss = estimate.smooth_l1_loss(&goal, Reduction::Mean, 1.0);
        learner.online.optimizer.zero_grad();
        loss.backward();
        learner.online.optimizer.clip_grad_norm(self.clip);
        learner.online.optimizer.step();
        loss.double_value(&[])
    }
}

/// Updates alone, on a replay that no longer changes.
struct Update {
    setting: Setting,
    replay: Replay,
    draws: Draws,
    updates: usize,
}

impl Update {
    fn new(job: &Job) -> Result<Self> {
        let (draws, updates) = (Draws::read(job)?, job.usize("updates")?);
        draws.row(updates.saturating_sub(1))?;
        Ok(Self { setting: Setting::read(job)?, replay: Replay::read(job)?, draws, updates })
    }

    fn update(&self, learner: &mut Learner, number: usize) -> Result<f64> {
        Ok(self.setting.update(learner, &self.replay.batch(self.draws.row(number)?)))
    }
}

impl Implementation for Update {
    type Input = Learner;
    type Output = (Learner, Vec<f64>);

    fn fresh(&self) -> Result<Learner> {
        self.setting.fresh()
    }

    fn run(&self, mut learner: Learner) -> Result<(Learner, Vec<f64>)> {
        let losses: Result<_> = (0..self.updates).map(|number| self.update(&mut learner, number)).collect();
        Ok((learner, losses?))
    }

    /// The first update is taken again, off the clock, to tell what it alone does.
    fn outputs(&self, (learner, losses): &(Learner, Vec<f64>)) -> Result<Outputs> {
        let mut first = self.fresh()?;
        let first_loss = self.update(&mut first, 0)?;
        tensors::trained(&learner.online.variables, losses, &first.online.variables, first_loss)
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("updates".to_owned(), self.updates as u64)])
    }
}

/// Act and learn for some steps, in the order Stable-Baselines3 does both.
struct Train {
    setting: Setting,
    rules: Rules,
    draws: Draws,
    starts: Vec<State>,
}

/// What a run left behind.
struct Run {
    learner: Learner,
    laps: Laps,
    actions: Vec<i64>,
    losses: Vec<f64>,
}

impl Train {
    fn new(job: &Job) -> Result<Self> {
        let train = Self {
            setting: Setting::read(job)?,
            rules: Rules::read(job)?,
            draws: Draws::read(job)?,
            starts: cartpole::starts(job)?,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    fn act(&self, learner: &Learner, step: usize, observation: &Observation) -> i64 {
        self.rules.explored(step).unwrap_or_else(|| {
            let values = tch::no_grad(|| learner.online.network.forward(&Tensor::from_slice(observation)));
            values.argmax(None, false).int64_value(&[])
        })
    }

    /// Learn once and return the mean loss.
    fn learn(&self, run: &mut Run, replay: &Replay, updated: usize) -> Result<f64> {
        let mut total = 0.0;
        for number in updated..updated + self.rules.updates {
            run.laps.lap("update");
            let batch = replay.batch(self.draws.row(number)?);
            run.laps.lap("buffer");
            total += self.setting.update(&mut run.learner, &batch);
        }
        Ok(total / self.rules.updates as f64)
    }
}

impl Implementation for Train {
    type Input = Learner;
    type Output = Run;

    fn fresh(&self) -> Result<Learner> {
        self.setting.fresh()
    }

    fn run(&self, learner: Learner) -> Result<Run> {
        let mut run = Run { learner, laps: Laps::new(), actions: Vec::new(), losses: Vec::new() };
        let (mut world, mut replay) = (World::new(&self.starts)?, Replay::new(self.rules.steps));
        let (mut before, mut updated) = (world.observation(), 0);
        run.laps.lap("environment");
        for step in 1..=self.rules.steps {
            let action = self.act(&run.learner, step - 1, &before);
            run.laps.lap("inference");
            let end = world.step(action);
            let after = world.observation();
            run.laps.lap("environment");
            run.actions.push(action);
            replay.add(before, action, after, end == End::Fell);
            run.laps.lap("buffer");
            if end != End::None {
                world.reset()?;
            }
            before = world.observation();
            run.laps.lap("environment");
            if self.rules.aligns(step) {
                run.learner.target.0.copy(&run.learner.online.variables)?;
            }
            if self.rules.learns(step) {
                let loss = self.learn(&mut run, &replay, updated)?;
                run.losses.push(loss);
                updated += self.rules.updates;
            }
            run.laps.lap("update");
        }
        Ok(run)
    }

    fn outputs(&self, run: &Run) -> Result<Outputs> {
        let outputs = Outputs::new()
            .array("actions", run.actions.clone())
            .array("loss", tensors::narrow(&run.losses))
            .loss(run.losses.clone());
        tensors::weights_of(outputs, "weights", &run.learner.online.variables)
    }

    fn spans(&self, run: &Run) -> Spans {
        run.laps.spans()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([
            ("steps".to_owned(), self.rules.steps as u64),
            ("updates".to_owned(), self.rules.all_updates() as u64),
        ])
    }
}
