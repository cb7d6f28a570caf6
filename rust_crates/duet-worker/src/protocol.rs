//! The messages that a driver and a worker exchange: one JSON object per line, one reply to each request.
//!
//! The Python twin is `plugin/src/pytest_duet/protocol.py`; the vectors in `testdata/` test both.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// The protocol's version, which increases whenever a message changes.
pub const VERSION: u32 = 1;

/// The longest line that either side accepts, in bytes, including the newline.
pub const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// The name of a number that JSON cannot represent.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum NonFiniteName {
    /// Not a number.
    #[serde(rename = "nan")]
    Nan,
    /// Positive infinity.
    #[serde(rename = "inf")]
    Infinity,
    /// Negative infinity.
    #[serde(rename = "-inf")]
    NegativeInfinity,
}

/// `{"nonfinite": "nan"}`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NonFinite {
    /// The number's name.
    pub nonfinite: NonFiniteName,
}

impl From<NonFinite> for f64 {
    fn from(value: NonFinite) -> Self {
        match value.nonfinite {
            NonFiniteName::Nan => Self::NAN,
            NonFiniteName::Infinity => Self::INFINITY,
            NonFiniteName::NegativeInfinity => Self::NEG_INFINITY,
        }
    }
}

impl NonFinite {
    /// Return the name of `value`, or `None` if it is finite.
    fn name(value: f64) -> Option<Self> {
        let nonfinite = match value {
            value if value.is_finite() => return None,
            value if value.is_nan() => NonFiniteName::Nan,
            value if value > 0.0 => NonFiniteName::Infinity,
            _ => NonFiniteName::NegativeInfinity,
        };
        Some(Self { nonfinite })
    }
}

/// A number on the wire.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A number that JSON cannot represent.
    NonFinite(NonFinite),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        NonFinite::name(value).map_or(Self::Float(value), Self::NonFinite)
    }
}

/// A parameter on the wire.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A string.
    Text(String),
    /// A number that JSON cannot represent.
    NonFinite(NonFinite),
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Self {
        NonFinite::name(value).map_or(Self::Float(value), Self::NonFinite)
    }
}

/// The job that a worker prepares.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JobMessage {
    /// The task, such as `regression`.
    pub task: String,
    /// The algorithm, such as `lasso`.
    pub algorithm: String,
    /// The phase, such as `train`.
    pub phase: String,
    /// The data set and size, for messages only.
    pub workload: String,
    /// A variant of the framework's implementation; empty for the default.
    pub variant: String,
    /// Parameters by name.
    pub params: BTreeMap<String, Scalar>,
    /// The random seed.
    pub seed: i64,
    /// The requested number of threads.
    pub threads: i64,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// `f32` or `f64`.
    pub dtype: String,
    /// Paths of the data set's files by name.
    pub data: BTreeMap<String, String>,
}

/// A request of the driver.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' meaning is the request's")]
pub enum Request {
    /// Return the worker's build information.
    Hello {
        id: u64,
        #[serde(default = "version")]
        protocol: u32,
    },
    /// Return the worker's implementations.
    Describe { id: u64 },
    /// Prepare a job: everything that must not be timed happens here.
    Prepare { id: u64, job: JobMessage },
    /// Run the job once and write its outputs to a folder.
    Verify { id: u64, into: String },
    /// Time `rounds` of `iterations` calls each; keep the last result of round `keep`.
    Run {
        id: u64,
        #[serde(deserialize_with = "at_least_one")]
        rounds: u64,
        #[serde(deserialize_with = "at_least_one")]
        iterations: u64,
        // With an explicit deserializer a missing field is an error, as in Python, instead of null.
        #[serde(deserialize_with = "Option::deserialize")]
        keep: Option<u64>,
    },
    /// Write the kept result to a folder.
    Outputs { id: u64, into: String },
    /// Reply and exit.
    Quit { id: u64 },
}

fn version() -> u32 {
    VERSION
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let count = u64::deserialize(deserializer)?;
    if count == 0 { Err(serde::de::Error::custom("a count must be at least 1")) } else { Ok(count) }
}

/// CPU features: those that the machine has and those that the binary requires.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "explained above")]
pub struct Features {
    pub detected: Vec<String>,
    pub compiled: Vec<String>,
}

/// One implementation of a worker.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct Capability {
    pub task: String,
    pub algorithm: String,
    pub phase: String,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// Not implemented here.
    Unsupported,
    /// The job or request is invalid.
    Invalid,
    /// The framework reported an error.
    Failed,
    /// The framework panicked, and the worker caught the panic.
    Panic,
}

/// A reply of the worker.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the Python twin explains each field")]
pub enum Reply {
    /// The worker's build information.
    Hello {
        id: u64,
        protocol: u32,
        framework: String,
        versions: BTreeMap<String, String>,
        source_digest: String,
        lock_digest: String,
        compiler: String,
        profile: String,
        features: Features,
        blas: Vec<String>,
        details: BTreeMap<String, String>,
    },
    /// The worker's implementations.
    Describe { id: u64, implementations: Vec<Capability> },
    /// What the worker prepared: only what was read, as it was read.
    Prepare {
        id: u64,
        params: BTreeMap<String, Scalar>,
        threads: u64,
        device: String,
        dtype: String,
        data: BTreeMap<String, String>,
        max_iterations: Option<u64>,
    },
    /// The paths and digest of the outputs, how the call converged, and how long it took.
    Verify {
        id: u64,
        outputs: BTreeMap<String, String>,
        digest: String,
        iterations: Option<u64>,
        converged: Option<bool>,
        loss: Vec<Number>,
        elapsed_ns: u64,
    },
    /// Nanoseconds of each round, the digest of the kept result, named spans, and the work of one call.
    Run {
        id: u64,
        elapsed_ns: Vec<u64>,
        digest: Option<String>,
        spans: BTreeMap<String, Vec<u64>>,
        work: BTreeMap<String, u64>,
    },
    /// The paths and digest of the kept outputs.
    Outputs { id: u64, outputs: BTreeMap<String, String>, digest: String },
    /// The worker exits after this line.
    Quit { id: u64 },
    /// The request failed; the worker continues. The id is 0 if the request's own is unknown.
    Error { id: u64, kind: ErrorKind, message: String },
}

impl Request {
    /// Return the request's number, which its reply repeats.
    pub fn id(&self) -> u64 {
        match self {
            Self::Hello { id, .. }
            | Self::Describe { id }
            | Self::Prepare { id, .. }
            | Self::Verify { id, .. }
            | Self::Run { id, .. }
            | Self::Outputs { id, .. }
            | Self::Quit { id } => *id,
        }
    }

    /// Parse the request in `line`, with or without its newline; the error explains why it is not a request.
    pub fn decode(line: &[u8]) -> Result<Self, String> {
        decode(line)
    }
}

impl Reply {
    /// Return the number of the request.
    pub fn id(&self) -> u64 {
        match self {
            Self::Hello { id, .. }
            | Self::Describe { id, .. }
            | Self::Prepare { id, .. }
            | Self::Verify { id, .. }
            | Self::Run { id, .. }
            | Self::Outputs { id, .. }
            | Self::Quit { id }
            | Self::Error { id, .. } => *id,
        }
    }

    /// Parse the reply in `line`, with or without its newline; the error explains why it is not a reply.
    pub fn decode(line: &[u8]) -> Result<Self, String> {
        decode(line)
    }
}

fn decode<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<T, String> {
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    // JSON allows white space, so CRLF would be accepted; a program that sends it writes in text mode and may alter other bytes.
    if !body.starts_with(b"{") || body.ends_with(b"\r") {
        return Err(format!("not a message: {}", excerpt(line)));
    }
    serde_json::from_slice(body).map_err(|error| format!("not a message ({error}): {}", excerpt(line)))
}

/// Return the start of `line`, with everything except printable ASCII escaped.
fn excerpt(line: &[u8]) -> String {
    const LIMIT: usize = 48;
    let head = &line[..line.len().min(LIMIT)];
    format!("\"{}\"{}", head.escape_ascii(), if line.len() > LIMIT { " ..." } else { "" })
}
