//! The messages that a driver and a worker exchange: one JSON object a line, one reply for each request.
//!
//! Not for carrying them: `serve` moves the lines. The Python twin is `plugin/src/pytest_duet/protocol.py`; both are held
//! to the vectors in `testdata/`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Raised whenever a message changes its shape.
pub const VERSION: u32 = 1;

/// The longest line either side accepts, in bytes, newline included.
pub const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// A number that JSON cannot hold, by name.
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
    /// Which one it is.
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
    /// Return the name of `value`, nothing where it is finite.
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
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A number JSON cannot hold.
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
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// Text.
    Text(String),
    /// A number JSON cannot hold.
    NonFinite(NonFinite),
}

impl From<f64> for Scalar {
    fn from(value: f64) -> Self {
        NonFinite::name(value).map_or(Self::Float(value), Self::NonFinite)
    }
}

/// What a worker is told to prepare.
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
    /// Another legitimate way of the same framework; empty for the usual one.
    pub variant: String,
    /// Parameters by name.
    pub params: BTreeMap<String, Scalar>,
    /// The seed of whatever is random.
    pub seed: i64,
    /// The threads asked for.
    pub threads: i64,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// `f32` or `f64`.
    pub dtype: String,
    /// Paths of the data set's files by name.
    pub data: BTreeMap<String, String>,
}

/// What a driver asks.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields' meaning is the request's")]
pub enum Request {
    /// Who is there?
    Hello {
        id: u64,
        #[serde(default = "version")]
        protocol: u32,
    },
    /// What do you implement?
    Describe { id: u64 },
    /// Load a job: everything a round must not pay for happens here.
    Prepare { id: u64, job: JobMessage },
    /// Run the job once and write its outputs into a folder.
    Verify { id: u64, into: String },
    /// Time `rounds` of `iterations` calls each; keep the last output of round `keep`.
    Run {
        id: u64,
        #[serde(deserialize_with = "at_least_one")]
        rounds: u64,
        #[serde(deserialize_with = "at_least_one")]
        iterations: u64,
        // Named, so that a missing field is an error as it is in Python, not a null.
        #[serde(deserialize_with = "Option::deserialize")]
        keep: Option<u64>,
    },
    /// Write the kept output into a folder.
    Outputs { id: u64, into: String },
    /// Drop the job and all it holds.
    Reset { id: u64 },
    /// Answer and leave.
    Quit { id: u64 },
}

fn version() -> u32 {
    VERSION
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let count = u64::deserialize(deserializer)?;
    if count == 0 { Err(serde::de::Error::custom("a count must be at least 1")) } else { Ok(count) }
}

/// Processor features: those the machine has and those the binary was compiled to require.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "said above")]
pub struct Features {
    pub detected: Vec<String>,
    pub compiled: Vec<String>,
}

/// One thing a worker can do.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the glossary's words")]
pub struct Capability {
    pub task: String,
    pub algorithm: String,
    pub phase: String,
}

/// Why a request could not be done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// Not implemented here.
    Unsupported,
    /// The job or request makes no sense.
    Invalid,
    /// The framework reported an error.
    Failed,
    /// The framework crashed and was caught.
    Panic,
}

/// What a worker answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the Python twin explains each field")]
pub enum Reply {
    /// Who is there: what was built, from what, how.
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
    /// All a worker can do.
    Describe { id: u64, implementations: Vec<Capability> },
    /// What was really prepared: only what was read, as it was read.
    Prepare {
        id: u64,
        params: BTreeMap<String, Scalar>,
        threads: u64,
        device: String,
        dtype: String,
        data: BTreeMap<String, String>,
        max_iterations: Option<u64>,
    },
    /// Where the outputs lie, their digest, how the call converged and how long it took.
    Verify {
        id: u64,
        outputs: BTreeMap<String, String>,
        digest: String,
        iterations: Option<u64>,
        converged: Option<bool>,
        loss: Vec<Number>,
        elapsed_ns: u64,
    },
    /// Nanoseconds of each round, the kept output's digest, named spans, the work one call does.
    Run {
        id: u64,
        elapsed_ns: Vec<u64>,
        digest: Option<String>,
        spans: BTreeMap<String, Vec<u64>>,
        work: BTreeMap<String, u64>,
    },
    /// Where the kept outputs lie, and their digest.
    Outputs { id: u64, outputs: BTreeMap<String, String>, digest: String },
    /// Nothing is prepared any more.
    Reset { id: u64 },
    /// The worker leaves after this line.
    Quit { id: u64 },
    /// The request could not be done; the worker stays. The id is 0 where the request's own is unknown.
    Error { id: u64, kind: ErrorKind, message: String },
}

impl Request {
    /// The request's number, which its reply repeats.
    pub fn id(&self) -> u64 {
        match self {
            Self::Hello { id, .. }
            | Self::Describe { id }
            | Self::Prepare { id, .. }
            | Self::Verify { id, .. }
            | Self::Run { id, .. }
            | Self::Outputs { id, .. }
            | Self::Reset { id }
            | Self::Quit { id } => *id,
        }
    }

    /// Read the request in `line`, with or without its newline; else say why it is none.
    pub fn decode(line: &[u8]) -> Result<Self, String> {
        decode(line)
    }
}

impl Reply {
    /// The number of the request that this answers.
    pub fn id(&self) -> u64 {
        match self {
            Self::Hello { id, .. }
            | Self::Describe { id, .. }
            | Self::Prepare { id, .. }
            | Self::Verify { id, .. }
            | Self::Run { id, .. }
            | Self::Outputs { id, .. }
            | Self::Reset { id }
            | Self::Quit { id }
            | Self::Error { id, .. } => *id,
        }
    }

    /// Read the reply in `line`, with or without its newline; else say why it is none.
    pub fn decode(line: &[u8]) -> Result<Self, String> {
        decode(line)
    }
}

fn decode<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<T, String> {
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    // JSON allows white space, so CRLF would slip through; whoever writes it is in text mode and not to be trusted.
    if !body.starts_with(b"{") || body.ends_with(b"\r") {
        return Err(format!("not a message: {}", excerpt(line)));
    }
    serde_json::from_slice(body).map_err(|error| format!("not a message ({error}): {}", excerpt(line)))
}

/// Return the start of `line` with everything but printable ASCII escaped.
fn excerpt(line: &[u8]) -> String {
    const LIMIT: usize = 48;
    let head = &line[..line.len().min(LIMIT)];
    format!("\"{}\"{}", head.escape_ascii(), if line.len() > LIMIT { " ..." } else { "" })
}
