//! The loop of deep Q-learning (Mnih et al. 2015) with the rules of Stable-Baselines3.
//!
//! Each framework has its own network and update.

use std::collections::BTreeMap;

use duet_worker::{Implementation, Job, Outputs, Registry, Result, Spans};

use crate::acting::Acting;
use crate::cartpole::{self, End, Laps, Observation, State, World};
use crate::learner::{self, InitialState, Learner};
use crate::replay::{Batch, Draws, Replay, Rules};
use crate::supervised;

/// A network that estimates the value of each action.
pub trait ActionValues: Learner {
    /// The target network.
    type Target;

    /// Return a target network with the current weights.
    fn target(&self) -> Result<Self::Target>;

    /// Copy the current weights to `target`.
    fn align(&self, target: &mut Self::Target) -> Result<()>;

    /// Return the action of the highest value.
    fn best(&self, observation: &Observation) -> Result<i64>;

    /// Take one step towards the target network's estimate and return the loss before it.
    fn update(&mut self, target: &Self::Target, batch: &Batch, rule: Rule) -> Result<f64>;
}

/// The settings of one update.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The discount factor.
    pub discount: f64,
    /// The largest allowed norm of all gradients together.
    pub clip: f64,
}

/// Register updates, whole runs, and acting without learning.
pub fn register<L: ActionValues + 'static>(registry: &mut Registry) {
    registry.add("dqn", "dqn", "update", Update::<L>::new);
    registry.add("dqn", "dqn", "train", Train::<L>::new);
    registry.add("dqn", "dqn", "predict", |job| {
        Acting::new(job, |network: &L, _, observation: &Observation| network.best(observation))
    });
}

/// What updates and whole runs both read.
struct Setting<L: Learner> {
    initial: InitialState<L>,
    rule: Rule,
}

/// The network and its target network.
struct Pair<L: ActionValues> {
    online: L,
    target: L::Target,
}

impl<L: ActionValues> Setting<L> {
    fn read(job: &Job) -> Result<Self> {
        let rule = Rule { discount: job.f64("discount")?, clip: job.f64("clip")? };
        Ok(Self { initial: InitialState::read(job)?, rule })
    }

    /// Return untrained networks with a new optimiser.
    fn fresh(&self) -> Result<Pair<L>> {
        let online = self.initial.learner()?;
        Ok(Pair { target: online.target()?, online })
    }

    fn update(&self, pair: &mut Pair<L>, batch: &Batch) -> Result<f64> {
        pair.online.update(&pair.target, batch, self.rule)
    }
}

/// Updates alone, on a fixed replay buffer.
struct Update<L: Learner> {
    setting: Setting<L>,
    replay: Replay,
    draws: Draws,
    updates: usize,
}

impl<L: ActionValues> Update<L> {
    fn new(job: &Job) -> Result<Self> {
        let (draws, updates) = (Draws::read(job)?, job.usize("updates")?);
        draws.row(updates.saturating_sub(1))?;
        Ok(Self { setting: Setting::read(job)?, replay: Replay::read(job)?, draws, updates })
    }

    fn update(&self, learner: &mut Pair<L>, number: usize) -> Result<f64> {
        self.setting.update(learner, &self.replay.batch(self.draws.row(number)?))
    }
}

impl<L: ActionValues> Implementation for Update<L> {
    type Input = Pair<L>;
    type Output = (Pair<L>, Vec<f64>);

    fn fresh(&self) -> Result<Pair<L>> {
        self.setting.fresh()
    }

    fn run(&self, mut learner: Pair<L>) -> Result<(Pair<L>, Vec<f64>)> {
        let losses: Result<_> = (0..self.updates).map(|number| self.update(&mut learner, number)).collect();
        Ok((learner, losses?))
    }

    /// Repeat the first update outside the timed region, to report its effect alone.
    fn outputs(&self, (learner, losses): &(Pair<L>, Vec<f64>)) -> Result<Outputs> {
        let mut first = self.fresh()?;
        let first_loss = self.update(&mut first, 0)?;
        learner::outputs(&learner.online, losses, &first.online, first_loss)
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("updates".to_owned(), self.updates as u64)])
    }
}

/// Act and learn for some steps, in the order of Stable-Baselines3.
struct Train<L: Learner> {
    setting: Setting<L>,
    rules: Rules,
    draws: Draws,
    starts: Vec<State>,
}

/// The result of a run.
struct Run<L: ActionValues> {
    learner: Pair<L>,
    laps: Laps,
    actions: Vec<i64>,
    losses: Vec<f64>,
}

impl<L: ActionValues> Train<L> {
    fn new(job: &Job) -> Result<Self> {
        Ok(Self {
            setting: Setting::read(job)?,
            rules: Rules::read(job)?,
            draws: Draws::read(job)?,
            starts: cartpole::starts(job)?,
        })
    }

    fn act(&self, learner: &Pair<L>, step: usize, observation: &Observation) -> Result<i64> {
        self.rules.explored(step).map_or_else(|| learner.online.best(observation), Ok)
    }

    /// Take the updates of one learning step and return their mean loss.
    fn learn(&self, run: &mut Run<L>, replay: &Replay, updated: usize) -> Result<f64> {
        let mut total = 0.0;
        for number in updated..updated + self.rules.updates {
            run.laps.lap("update");
            let batch = replay.batch(self.draws.row(number)?);
            run.laps.lap("buffer");
            total += self.setting.update(&mut run.learner, &batch)?;
        }
        Ok(total / self.rules.updates as f64)
    }
}

impl<L: ActionValues> Implementation for Train<L> {
    type Input = Pair<L>;
    type Output = Run<L>;

    fn fresh(&self) -> Result<Pair<L>> {
        self.setting.fresh()
    }

    fn run(&self, learner: Pair<L>) -> Result<Run<L>> {
        let mut run = Run { learner, laps: Laps::new(), actions: Vec::new(), losses: Vec::new() };
        let (mut world, mut replay) = (World::new(&self.starts)?, Replay::new(self.rules.steps));
        let (mut before, mut updated) = (world.observation(), 0);
        run.laps.lap("environment");
        for step in 1..=self.rules.steps {
            let action = self.act(&run.learner, step - 1, &before)?;
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
                run.learner.online.align(&mut run.learner.target)?;
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

    fn outputs(&self, run: &Run<L>) -> Result<Outputs> {
        let outputs = Outputs::new()
            .array("actions", run.actions.clone())
            .array("loss", supervised::narrow(&run.losses))
            .loss(run.losses.clone());
        Ok(supervised::with_prefix(outputs, "weights", run.learner.online.weights()?))
    }

    fn spans(&self, run: &Run<L>) -> Spans {
        run.laps.spans()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([
            ("steps".to_owned(), self.rules.steps as u64),
            ("updates".to_owned(), self.rules.all_updates() as u64),
        ])
    }
}
