//! The worker side of pytest-duet: a worker is a program that runs implementations at the request of a benchmark driver and
//! times them with its own clock.
//!
//! The crate is independent of any framework. The driver compares what several workers report.
//!
//! # A worker in four files
//!
//! `Cargo.toml` names two crates, this one and `duet-build`, its counterpart for build scripts:
//!
//! ```toml
//! [dependencies]
//! duet-worker = { path = "../duet-worker" }
//!
//! [build-dependencies]
//! duet-build = { path = "../duet-worker/duet-build" }
//! ```
//!
//! `build.rs` embeds the worker's build information, so that the driver can detect a stale worker:
//!
//! ```ignore
//! fn main() {
//!     duet_build::embed(&[]);
//! }
//! ```
//!
//! `src/main.rs` declares the worker. A plain function needs no more than this:
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
//! A task with several algorithms and phases has its own file with a `register` function, which is passed to
//! [`Worker::task`]. For each implementation, a function reads the [`Job`] once, untimed, and returns an [`Implementation`]. Use a
//! [`Call`] of two closures for an implementation whose calls only read; implement the trait for one that consumes its input:
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
//! # What the types guarantee
//!
//! - Preparation is never part of a timed round: a round only calls [`Implementation::run`] and [`Implementation::sync`].
//! - A job cannot differ unnoticed from what the implementation used: the worker reports only what was read through the [`Job`],
//!   and a job fails if its implementation ignores its variant or device.
//! - Everything that a library prints goes to standard error. A panic becomes an error reply, and the worker continues.
//!
//! The worker ends when its driver ends. On Linux that is the end of the *thread* that started it, so start workers from a
//! thread that lives as long as they should.

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

/// Return bytes as lower-case hex.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
