//! A worker as its `main` declares it: its name, its build information and its implementations.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use crate::implementation::Call;
use crate::protocol::{self, Reply};
use crate::{Array, BuildInfo, Job, Outputs, Registry, Result, channel, serve};

/// A worker: declare what it implements, then serve.
#[must_use]
pub struct Worker {
    framework: String,
    build: BuildInfo,
    versions: BTreeMap<String, String>,
    details: BTreeMap<String, String>,
    blas: Vec<String>,
    threads: Box<dyn Fn(usize) -> usize>,
    pub(crate) registry: Registry,
}

impl Worker {
    /// Declare the worker of `framework`; pass [`build_info!()`](crate::build_info) for `build`.
    pub fn new(framework: &str, build: BuildInfo) -> Self {
        Self {
            framework: framework.to_owned(),
            build,
            versions: build.versions(),
            details: BTreeMap::new(),
            blas: Vec::new(),
            threads: Box::new(|_| 1),
            registry: Registry::default(),
        }
    }

    /// Set the function that applies a job's number of threads and returns the number in effect; by default the worker reports
    /// one thread.
    pub fn threads(mut self, apply: impl Fn(usize) -> usize + 'static) -> Self {
        self.threads = Box::new(apply);
        self
    }

    /// Report the version of a dependency that cargo does not manage, such as a system library.
    pub fn version(mut self, name: &str, version: &str) -> Self {
        self.versions.insert(name.to_owned(), version.to_owned());
        self
    }

    /// Report any other fact that a reader of the results should know.
    pub fn detail(mut self, name: &str, value: &str) -> Self {
        self.details.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Report a BLAS library that the worker uses.
    pub fn blas(mut self, name: &str) -> Self {
        self.blas.push(name.to_owned());
        self
    }

    /// Register the implementations of a task.
    pub fn task(mut self, register: impl FnOnce(&mut Registry)) -> Self {
        register(&mut self.registry);
        self
    }

    /// Register a plain function as task `task`, algorithm `default`, phase `call`: `prepare` reads the job and returns the
    /// closure to time, whose value becomes the output `result`.
    pub fn call<P, F, T>(mut self, task: &str, prepare: P) -> Self
    where
        P: Fn(&Job) -> Result<F> + 'static,
        F: Fn() -> T + 'static,
        T: Clone + Into<Array> + 'static,
    {
        self.registry.add(task, "default", "call", move |job| {
            let call = prepare(job)?;
            Ok(Call::new(move || Ok(call()), |value: &T| Ok(Outputs::new().array("result", value.clone()))))
        });
        self
    }

    /// Serve the driver over standard input and output until either side ends the session.
    #[must_use]
    pub fn serve(self) -> ExitCode {
        let served = channel::bind_to_parent().and_then(|parent_is_there| {
            let replies = channel::take_stdout()?;
            if parent_is_there { self.serve_on(io::stdin().lock(), replies) } else { Ok(()) }
        });
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: cannot talk to the driver: {error}", self.framework);
                ExitCode::FAILURE
            }
        }
    }

    /// Serve the driver over any pair of streams until the end of `requests`.
    pub fn serve_on(&self, requests: impl BufRead, replies: impl Write) -> io::Result<()> {
        serve::serve(self, requests, replies)
    }

    pub(crate) fn apply_threads(&self, asked: usize) -> usize {
        (self.threads)(asked)
    }

    pub(crate) fn hello(&self, id: u64) -> Reply {
        Reply::Hello {
            id,
            protocol: protocol::VERSION,
            framework: self.framework.clone(),
            versions: self.versions.clone(),
            source_digest: self.build.source_digest.to_owned(),
            lock_digest: self.build.lock_digest.to_owned(),
            compiler: self.build.compiler.to_owned(),
            profile: self.build.profile.to_owned(),
            features: self.build.features(),
            blas: self.blas.clone(),
            details: self.details.clone(),
        }
    }
}
