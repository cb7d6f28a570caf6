//! The worker side of pytest-duet: a program that runs an implementation when a benchmark driver tells it to, and times it
//! with its own clock.
//!
//! Not for any framework in particular, nor for comparing: the driver compares what several workers report.
//!
//! # A worker in four files
//!
//! `Cargo.toml` names two crates, this one and `duet-build`, its half for build scripts:
//!
//! ```toml
//! [dependencies]
//! duet-worker = { path = "../duet-worker" }
//!
//! [build-dependencies]
//! duet-build = { path = "../duet-worker/duet-build" }
//! ```
//!
//! `build.rs` embeds what the worker was built from, so that the driver can tell a stale one:
//!
//! ```ignore
//! fn main() {
//!     duet_build::embed(&[]);
//! }
//! ```
//!
//! `src/main.rs` says who the worker is. A plain function needs no more than this:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use duet_worker::Worker;
//! # macro_rules! build_info { () => { duet_worker::BuildInfo { source_digest: "", lock_digest: "", compiler: "",
//! #     profile: "debug", features: "", dependencies: "" } } }
//!
//! fn main() -> ExitCode {
//!     Worker::new("sum", build_info!()) // duet_worker::build_info!()
//!         .call("sum", |job| {
//!             let n = job.i64("n")?;
//!             Ok(move || (0..n).sum::<i64>())
//!         })
//!         .serve()
//! }
//! ```
//!
//! A task with several algorithms and phases has a file of its own with a `register` function, passed to
//! [`Worker::task`]. Each implementation reads its [`Job`] once, untimed, and is an [`Implementation`] from then on; one
//! whose calls only read is a [`Call`] of two closures, one that consumes its input or has a device says so itself:
//!
//! ```
//! use duet_worker::{Implementation, Job, Order, Outputs, Registry, Result};
//!
//! struct Means {
//!     columns: Vec<f64>,
//!     rows: usize,
//! }
//!
//! impl Implementation for Means {
//!     type Input = ();
//!     type Output = Vec<f64>;
//!
//!     fn fresh(&self) -> Result<()> {
//!         Ok(())
//!     }
//!     fn run(&self, (): ()) -> Result<Vec<f64>> {
//!         let mean = |column: &[f64]| column.iter().sum::<f64>() / self.rows as f64;
//!         Ok(self.columns.chunks_exact(self.rows).map(mean).collect())
//!     }
//!     fn outputs(&self, means: &Vec<f64>) -> Result<Outputs> {
//!         Ok(Outputs::new().array("means", means.clone()))
//!     }
//! }
//!
//! fn prepare(job: &Job) -> Result<Means> {
//!     let x = job.matrix_f64("X", Order::Fortran)?;
//!     Ok(Means { columns: x.data, rows: x.rows })
//! }
//!
//! pub fn register(registry: &mut Registry) {
//!     registry.add("statistics", "means", "call", prepare);
//! }
//! ```
//!
//! # What the types see to
//!
//! - Preparing cannot leak into a timed round: a round only ever calls [`Implementation::run`] and
//!   [`Implementation::sync`].
//! - What a job was told and what was really used cannot differ unseen: only what was read through the [`Job`] is reported,
//!   and a job whose variant or device nobody asked for is refused.
//! - Whatever a library prints goes to standard error, and a panic becomes an error reply; the worker stays.
//!
//! The worker ends when its driver does. On Linux that is the end of the *thread* that started it, so start workers from
//! a thread that lives as long as they should.

mod array;
mod build_info;
mod channel;
mod error;
mod files;
mod implementation;
mod job;
pub mod protocol;
mod registry;
mod serve;
mod worker;

pub use array::{Array, Data, Outputs};
pub use build_info::BuildInfo;
pub use error::{Error, Result};
pub use files::{Matrix, Order};
pub use implementation::{Call, Implementation, Spans, training_work};
pub use job::Job;
pub use registry::Registry;
pub use worker::Worker;

/// Write bytes as lower-case hex.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
