//! The trait of implementations and the loop that times them.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use crate::{Error, Outputs, Result};

/// A prepared job that can run any number of times.
///
/// Preparation is what the registered function does before it returns an implementation, so it is never part of a timed round.
/// A timed round is k calls of [`run`](Self::run) and one of [`sync`](Self::sync), and nothing else: inputs are created before
/// the clock starts, outputs are dropped after it stops.
pub trait Implementation {
    /// What one call consumes; `()` if it only reads what was prepared.
    type Input;
    /// The result of one call, in the framework's own types.
    type Output;

    /// Return the largest number of calls in one round, if many inputs would be too large.
    fn max_iterations(&self) -> Option<u64> {
        None
    }

    /// Return one input: a fresh model, or a copy of what the call overwrites. Not timed.
    fn fresh(&self) -> Result<Self::Input>;

    /// Do the work from scratch and return the whole result. This is the timed region.
    fn run(&self, input: Self::Input) -> Result<Self::Output>;

    /// Wait until the device has finished. Timed, once per round.
    fn sync(&self) {}

    /// Convert the result of a call to arrays. Not timed.
    fn outputs(&self, output: &Self::Output) -> Result<Outputs>;

    /// Return how long named parts of the call took, as `run` recorded in its result. Not timed.
    fn spans(&self, _output: &Self::Output) -> Spans {
        Spans::new()
    }

    /// Return how much one call processes, by unit such as `samples` or `steps`.
    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

/// Nanoseconds by the name of the part of a call.
pub type Spans = BTreeMap<String, u64>;

/// Return the work of training: samples and steps, and epochs over `examples` if `steps` of `batch` make whole epochs.
pub fn training_work(examples: usize, batch: usize, steps: usize) -> BTreeMap<String, u64> {
    let mut work =
        BTreeMap::from([("samples".to_owned(), (batch * steps) as u64), ("steps".to_owned(), steps as u64)]);
    // An epoch leaves out the examples that do not fill a batch.
    let epoch = examples.checked_div(batch).filter(|&epoch| epoch > 0);
    if let Some(epoch) = epoch.filter(|epoch| steps.is_multiple_of(*epoch)) {
        work.insert("epochs".to_owned(), (steps / epoch) as u64);
    }
    work
}

impl<T: Implementation + ?Sized> Implementation for Box<T> {
    type Input = T::Input;
    type Output = T::Output;

    fn max_iterations(&self) -> Option<u64> {
        (**self).max_iterations()
    }
    fn fresh(&self) -> Result<Self::Input> {
        (**self).fresh()
    }
    fn run(&self, input: Self::Input) -> Result<Self::Output> {
        (**self).run(input)
    }
    fn sync(&self) {
        (**self).sync();
    }
    fn outputs(&self, output: &Self::Output) -> Result<Outputs> {
        (**self).outputs(output)
    }
    fn spans(&self, output: &Self::Output) -> Spans {
        (**self).spans(output)
    }
    fn work(&self) -> BTreeMap<String, u64> {
        (**self).work()
    }
}

/// An implementation made of two closures: the timed region, and the conversion of its result to arrays.
///
/// ```
/// use duet_worker::{Call, Job, Order, Outputs, Registry};
///
/// pub fn register(registry: &mut Registry) {
///     registry.add("statistics", "means", "call", |job: &Job| {
///         let x = job.matrix_f64("X", Order::Fortran)?;
///         let rows = x.rows;
///         let means = move || Ok(x.data.chunks_exact(rows).map(|c| c.iter().sum::<f64>() / rows as f64).collect());
///         Ok(Call::new(means, |means: &Vec<f64>| Ok(Outputs::new().array("means", means.clone()))).work("samples", rows))
///     });
/// }
/// ```
pub struct Call<R, O> {
    run: R,
    outputs: O,
    sync: Option<Box<dyn Fn()>>,
    work: BTreeMap<String, u64>,
}

impl<T, R: Fn() -> Result<T>, O: Fn(&T) -> Result<Outputs>> Call<R, O> {
    /// Time `run`, which must do the work from scratch in every call; `outputs` is not timed.
    pub fn new(run: R, outputs: O) -> Self {
        Self { run, outputs, sync: None, work: BTreeMap::new() }
    }

    /// Set what waits until the device has finished; timed, once per round.
    #[must_use]
    pub fn sync(mut self, wait: impl Fn() + 'static) -> Self {
        self.sync = Some(Box::new(wait));
        self
    }

    /// Set how much one call processes, by unit such as `samples` or `steps`.
    #[must_use]
    pub fn work(mut self, unit: &str, amount: usize) -> Self {
        self.work.insert(unit.to_owned(), amount as u64);
        self
    }
}

impl<T, R: Fn() -> Result<T>, O: Fn(&T) -> Result<Outputs>> Implementation for Call<R, O> {
    type Input = ();
    type Output = T;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }
    fn run(&self, (): ()) -> Result<T> {
        (self.run)()
    }
    fn sync(&self) {
        if let Some(wait) = &self.sync {
            wait();
        }
    }
    fn outputs(&self, output: &T) -> Result<Outputs> {
        (self.outputs)(output)
    }
    fn work(&self) -> BTreeMap<String, u64> {
        self.work.clone()
    }
}

/// A prepared implementation of any types, with the result that it keeps.
pub(crate) trait Prepared {
    fn max_iterations(&self) -> Option<u64>;
    fn work(&self) -> BTreeMap<String, u64>;
    /// Time one call; return its nanoseconds and its outputs.
    fn verify(&self) -> Result<(u64, Outputs)>;
    /// Time `rounds` of `iterations` calls; keep the last result of round `keep`.
    fn measure(&mut self, rounds: u64, iterations: u64, keep: Option<u64>) -> Result<Measured>;
    /// Convert the kept result to arrays, if there is one.
    fn kept(&self) -> Result<Option<Outputs>>;
}

/// The nanoseconds of each round, and of each round's named parts.
#[derive(Default)]
pub(crate) struct Measured {
    pub elapsed_ns: Vec<u64>,
    pub spans: BTreeMap<String, Vec<u64>>,
}

impl Measured {
    /// Add a round and the spans of its calls.
    fn push(&mut self, elapsed_ns: u64, calls: impl Iterator<Item = Spans>) {
        self.elapsed_ns.push(elapsed_ns);
        let mut parts = Spans::new();
        for (name, ns) in calls.flatten() {
            *parts.entry(name).or_default() += ns;
        }
        for (name, ns) in parts {
            self.spans.entry(name).or_default().push(ns);
        }
    }
}

pub(crate) struct Timed<I: Implementation> {
    implementation: I,
    kept: Option<I::Output>,
}

impl<I: Implementation> Timed<I> {
    pub(crate) fn new(implementation: I) -> Self {
        Self { implementation, kept: None }
    }

    /// Time one round. The results outlive the timed region, so dropping them is not timed.
    fn round(&self, iterations: usize) -> Result<(u64, Vec<I::Output>)> {
        let implementation = &self.implementation;
        let inputs: Result<Vec<I::Input>> = (0..iterations).map(|_| implementation.fresh()).collect();
        let mut inputs = inputs?.into_iter();
        let mut outputs = Vec::with_capacity(iterations);
        let start = Instant::now();
        // By reference, so that the vector of inputs is freed after the clock has stopped.
        for input in inputs.by_ref() {
            // The implementation is opaque too, so that the compiler cannot move a call out of the loop.
            outputs.push(black_box(black_box(implementation).run(black_box(input))?));
        }
        implementation.sync();
        let elapsed = start.elapsed();
        Ok((u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), outputs))
    }
}

impl<I: Implementation> Prepared for Timed<I> {
    fn max_iterations(&self) -> Option<u64> {
        self.implementation.max_iterations()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        self.implementation.work()
    }

    fn verify(&self) -> Result<(u64, Outputs)> {
        let (elapsed_ns, outputs) = self.round(1)?;
        let output = outputs.first().ok_or_else(|| Error::failed("the call returned nothing"))?;
        Ok((elapsed_ns, self.implementation.outputs(output)?))
    }

    fn measure(&mut self, rounds: u64, iterations: u64, keep: Option<u64>) -> Result<Measured> {
        let iterations = usize::try_from(iterations)?;
        let mut measured = Measured::default();
        for round in 0..rounds {
            let (elapsed, mut outputs) = self.round(iterations)?;
            measured.push(elapsed, outputs.iter().map(|output| self.implementation.spans(output)));
            if keep == Some(round) {
                self.kept = outputs.pop();
            }
        }
        Ok(measured)
    }

    fn kept(&self) -> Result<Option<Outputs>> {
        self.kept.as_ref().map(|output| self.implementation.outputs(output)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_epochs_are_reported() {
        // Ten examples make two batches of four; two examples are left out.
        assert_eq!(None, training_work(10, 4, 3).get("epochs"));
        assert_eq!(Some(&3), training_work(10, 4, 6).get("epochs"));
        assert_eq!(None, training_work(3, 4, 1).get("epochs"));
        let work = training_work(10, 4, 6);
        assert_eq!((24, 6), (work["samples"], work["steps"]));
    }
}
