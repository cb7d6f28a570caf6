//! The implementations of a worker, by task, algorithm and phase.

use std::collections::BTreeMap;

use crate::implementation::{Implementation, Prepared, Timed};
use crate::protocol::{Capability, JobMessage};
use crate::{Error, Job, Result};

type Prepare = Box<dyn Fn(&Job) -> Result<Box<dyn Prepared>>>;

/// The implementations of a worker.
#[derive(Default)]
pub struct Registry {
    prepare: BTreeMap<Capability, Prepare>,
}

impl Registry {
    /// Add an implementation: `prepare` reads the job and returns what runs.
    ///
    /// # Panics
    ///
    /// If there already is one of that name, because one of the two would never be measured.
    pub fn add<I, P>(&mut self, task: &str, algorithm: &str, phase: &str, prepare: P)
    where
        I: Implementation + 'static,
        P: Fn(&Job) -> Result<I> + 'static,
    {
        let name = Capability { task: task.into(), algorithm: algorithm.into(), phase: phase.into() };
        let boxed: Prepare = Box::new(move |job| Ok(Box::new(Timed::new(prepare(job)?))));
        assert!(self.prepare.insert(name, boxed).is_none(), "{task} {algorithm} {phase} is registered twice");
    }

    pub(crate) fn capabilities(&self) -> Vec<Capability> {
        self.prepare.keys().cloned().collect()
    }

    pub(crate) fn find(&self, job: &JobMessage) -> Result<&Prepare> {
        let name =
            Capability { task: job.task.clone(), algorithm: job.algorithm.clone(), phase: job.phase.clone() };
        self.prepare.get(&name).ok_or_else(|| {
            let Capability { task, algorithm, phase } = name;
            Error::unsupported(format!(
                "{task} {algorithm} {phase} is not implemented here; send describe for a list of what is"
            ))
        })
    }
}
