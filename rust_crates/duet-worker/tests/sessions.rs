//! Whole sessions over streams in memory, as a driver sees them.

use std::collections::BTreeMap;
use std::path::Path;

use duet_worker::protocol::{ErrorKind, LINE_LIMIT_BYTES, Reply, Scalar};
use duet_worker::{BuildInfo, Error, Implementation, Job, Outputs, Registry, Result, Worker};
use serde_json::{Value, json};

const BUILD: BuildInfo = BuildInfo {
    source_digest: "ab",
    lock_digest: "",
    compiler: "rustc",
    profile: "release",
    features: "sse2,fxsr",
    dependencies: "linfa=0.8.1,ndarray=0.16.1",
};

/// Counts its own calls, so that outputs of different rounds differ.
struct Counter {
    calls: std::cell::Cell<i64>,
    panic_at: i64,
}

impl Implementation for Counter {
    type Input = ();
    type Output = i64;

    fn max_iterations(&self) -> Option<u64> {
        Some(10)
    }
    fn fresh(&self) -> Result<()> {
        Ok(())
    }
    fn run(&self, (): ()) -> Result<i64> {
        self.calls.set(self.calls.get() + 1);
        assert!(self.calls.get() != self.panic_at, "the framework panicked");
        Ok(self.calls.get())
    }
    fn outputs(&self, output: &i64) -> Result<Outputs> {
        Ok(Outputs::new().array("calls", *output).iterations(3).converged(true).loss(vec![1.0, f64::NAN]))
    }
    fn spans(&self, output: &i64) -> duet_worker::Spans {
        BTreeMap::from([("counting".to_owned(), 10 * output.unsigned_abs())])
    }
    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("calls".to_owned(), 1)])
    }
}

fn register(registry: &mut Registry) {
    registry.add("count", "up", "call", |job: &Job| {
        Ok(Counter { calls: std::cell::Cell::new(0), panic_at: job.i64("panic_at")? })
    });
    registry.add("count", "variant", "call", |job: &Job| {
        job.variant(&["", "gram"])?;
        Ok(Counter { calls: std::cell::Cell::new(0), panic_at: 0 })
    });
    registry.add("count", "alpha", "call", |job: &Job| {
        let alpha = job.f64("alpha")?;
        if alpha.is_nan() { Err(Error::failed("alpha is nan")) } else { job.vector_f64("X").map(|_| Reader) }
    });
}

struct Reader;

impl Implementation for Reader {
    type Input = ();
    type Output = ();

    fn fresh(&self) -> Result<()> {
        Ok(())
    }
    fn run(&self, (): ()) -> Result<()> {
        Ok(())
    }
    fn outputs(&self, (): &()) -> Result<Outputs> {
        Ok(Outputs::new())
    }
}

fn session(input: &[u8]) -> Vec<Reply> {
    let mut output = Vec::new();
    let worker = Worker::new("test", BUILD).threads(|asked| asked.min(2)).detail("k", "v").task(register);
    let worker = worker.call("double", |job| {
        let n = job.i64("n")?;
        Ok(move || 2 * n)
    });
    worker.serve_on(input, &mut output).unwrap();
    output.split_inclusive(|&byte| byte == b'\n').map(|line| Reply::decode(line).unwrap()).collect()
}

fn talk(requests: &[Value]) -> Vec<Reply> {
    let lines: Vec<String> = requests.iter().map(|request| format!("{request}\n")).collect();
    session(lines.concat().as_bytes())
}

fn job(algorithm: &str, params: &Value) -> Value {
    json!({"op": "prepare", "id": 1, "job": {"task": "count", "algorithm": algorithm, "phase": "call",
        "workload": "w", "variant": "", "params": params, "seed": 0, "threads": 4, "device": "cpu", "dtype": "f64",
        "data": {}}})
}

fn with(mut request: Value, key: &str, value: Value) -> Value {
    request["job"][key] = value;
    request
}

fn run(rounds: u64, iterations: u64, keep: Option<u64>) -> Value {
    json!({"op": "run", "id": 2, "rounds": rounds, "iterations": iterations, "keep": keep})
}

fn outputs(into: &Path) -> Value {
    json!({"op": "outputs", "id": 3, "into": into})
}

fn digest_of(calls: i64) -> String {
    Outputs::new().array("calls", calls).digest()
}

#[track_caller]
fn assert_error(reply: &Reply, expected: ErrorKind, part: &str) {
    let Reply::Error { kind, message, .. } = reply else { panic!("no error: {reply:?}") };
    assert_eq!(expected, *kind, "{message}");
    assert!(message.contains(part), "{message}");
}

#[test]
fn hello_reports_the_build_information() {
    let Reply::Hello { framework, versions, features, details, profile, .. } =
        &talk(&[json!({"op": "hello", "id": 1})])[0]
    else {
        panic!()
    };
    assert_eq!(("test", "release", "v"), (framework.as_str(), profile.as_str(), details["k"].as_str()));
    assert_eq!("0.8.1", versions["linfa"]);
    assert_eq!(vec!["sse2", "fxsr"], features.compiled);
}

#[test]
fn the_error_for_another_protocol_version_names_both() {
    let replies = talk(&[json!({"op": "hello", "id": 1, "protocol": 99})]);
    assert_error(&replies[0], ErrorKind::Unsupported, "protocol 99, this worker 1");
}

#[test]
fn describe_lists_everything_in_order() {
    let Reply::Describe { implementations, .. } = &talk(&[json!({"op": "describe", "id": 1})])[0] else {
        panic!()
    };
    let names: Vec<&str> = implementations.iter().map(|one| one.algorithm.as_str()).collect();
    assert_eq!(vec!["alpha", "up", "variant", "default"], names);
}

#[test]
fn garbage_gets_an_error_with_id_0_and_the_next_request_is_answered() {
    let replies =
        session(b"garbage\n\xff\xfe\n\n{\"op\":\"describe\",\"id\":7}\r\n{\"op\":\"quit\",\"id\":8}\n");
    for reply in &replies[..4] {
        assert!(matches!(reply, Reply::Error { id: 0, kind: ErrorKind::Invalid, .. }), "{reply:?}");
    }
    assert_eq!(Reply::Quit { id: 8 }, replies[4]);
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_the_next_request_is_answered() {
    for length in [LINE_LIMIT_BYTES, LINE_LIMIT_BYTES + 1, 3 * LINE_LIMIT_BYTES] {
        let mut input = vec![b'{'; length];
        input.extend(b"\n{\"op\":\"quit\",\"id\":8}\n");
        let replies = session(&input);
        assert_error(&replies[0], ErrorKind::Invalid, "longer than the limit");
        assert_eq!(Reply::Quit { id: 8 }, replies[1]);
    }
}

#[test]
fn a_last_line_without_a_newline_is_answered() {
    assert_eq!(vec![Reply::Quit { id: 8 }], session(b"{\"op\":\"quit\",\"id\":8}"));
}

#[test]
fn nothing_is_answered_after_quit() {
    assert_eq!(1, talk(&[json!({"op": "quit", "id": 1}), json!({"op": "describe", "id": 2})]).len());
}

#[test]
fn only_what_was_read_is_reported() {
    let replies = talk(&[job("up", &json!({"panic_at": 0, "alpha": 1.5}))]);
    let Reply::Prepare { params, threads, max_iterations, data, .. } = &replies[0] else {
        panic!("{replies:?}")
    };
    assert_eq!(&BTreeMap::from([("panic_at".to_owned(), Scalar::Int(0))]), params);
    assert_eq!((2, Some(10), true), (*threads, *max_iterations, data.is_empty()));
}

#[test]
fn files_are_reported_by_the_digest_of_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Outputs::new().array("X", vec![1.0, 2.0]).write(folder.path()).unwrap();
    let request = with(job("alpha", &json!({"alpha": 1})), "data", json!({"X": paths["X"], "y": "/nowhere"}));
    let Reply::Prepare { params, data, .. } = &talk(&[request])[0] else { panic!() };
    assert_eq!(&BTreeMap::from([("alpha".to_owned(), Scalar::Float(1.0))]), params);
    assert_eq!(vec!["X"], data.keys().collect::<Vec<_>>());
    assert_eq!(64, data["X"].len());
}

#[test]
fn non_finite_parameters_are_decoded() {
    let request = job("alpha", &json!({"alpha": {"nonfinite": "nan"}}));
    assert_error(&talk(&[request])[0], ErrorKind::Failed, "alpha is nan");
}

#[test]
fn an_error_names_what_a_job_lacks() {
    assert_error(&talk(&[job("up", &json!({}))])[0], ErrorKind::Invalid, "\"panic_at\"");
    assert_error(&talk(&[job("alpha", &json!({"alpha": 1}))])[0], ErrorKind::Invalid, "\"X\"");
    assert_error(&talk(&[job("up", &json!({"panic_at": "x"}))])[0], ErrorKind::Invalid, "an integer");
    assert_error(&talk(&[job("up", &json!({"panic_at": true}))])[0], ErrorKind::Invalid, "an integer");
}

#[test]
fn a_job_of_another_dtype_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Outputs::new().array("X", vec![1.0]).write(folder.path()).unwrap();
    let request = with(job("alpha", &json!({"alpha": 1})), "data", json!({"X": paths["X"]}));
    assert_error(&talk(&[with(request, "dtype", json!("f32"))])[0], ErrorKind::Invalid, "dtype");
}

#[test]
fn a_job_that_asks_for_more_than_the_implementation_reads_is_an_error() {
    let params = json!({"panic_at": 0});
    let replies = talk(&[
        with(job("up", &params), "variant", json!("gram")),
        with(job("up", &params), "device", json!("cuda:0")),
        with(job("variant", &params), "variant", json!("gram")),
        with(job("variant", &params), "variant", json!("other")),
        with(job("up", &params), "threads", json!(0)),
        with(job("up", &params), "dtype", json!("f16")),
        job("nothing", &params),
    ]);
    assert_error(&replies[0], ErrorKind::Unsupported, "gram");
    assert_error(&replies[1], ErrorKind::Unsupported, "cuda:0");
    assert!(matches!(replies[2], Reply::Prepare { .. }));
    assert_error(&replies[3], ErrorKind::Unsupported, "known variants");
    assert_error(&replies[4], ErrorKind::Invalid, "at least 1");
    assert_error(&replies[5], ErrorKind::Invalid, "f16");
    assert_error(&replies[6], ErrorKind::Unsupported, "count nothing call");
}

#[test]
fn a_run_keeps_the_last_result_of_the_chosen_round() {
    let folder = tempfile::tempdir().unwrap();
    let replies = talk(&[job("up", &json!({"panic_at": 0})), run(3, 2, Some(1)), outputs(folder.path())]);
    let Reply::Run { elapsed_ns, digest, spans, work, .. } = &replies[1] else { panic!("{replies:?}") };
    assert_eq!((3, Some(&1)), (elapsed_ns.len(), work.get("calls")));
    // The spans of a round add up those of its calls.
    assert_eq!(Some(&vec![10 + 20, 30 + 40, 50 + 60]), spans.get("counting"));
    assert_eq!(&Some(digest_of(4)), digest);
    let Reply::Outputs { digest, outputs, .. } = &replies[2] else { panic!("{replies:?}") };
    assert_eq!(&digest_of(4), digest);
    assert!(Path::new(&outputs["calls"]).is_file());
}

#[test]
fn a_kept_result_stays_until_another_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let replies = talk(&[
        job("up", &json!({"panic_at": 0})),
        run(1, 1, Some(0)),
        run(1, 1, None),
        outputs(folder.path()),
        run(1, 1, Some(0)),
        outputs(folder.path()),
    ]);
    let kept = |reply: &Reply| match reply {
        Reply::Run { digest, .. } => digest.clone(),
        Reply::Outputs { digest, .. } => Some(digest.clone()),
        _ => panic!("{reply:?}"),
    };
    let expected = [Some(digest_of(1)), None, Some(digest_of(1)), Some(digest_of(3)), Some(digest_of(3))];
    assert_eq!(expected, [1, 2, 3, 4, 5].map(|index| kept(&replies[index])));
}

#[test]
fn a_run_beyond_its_limits_is_an_error() {
    let replies =
        talk(&[run(1, 1, None), job("up", &json!({"panic_at": 0})), run(1, 11, None), run(2, 1, Some(2))]);
    assert_error(&replies[0], ErrorKind::Invalid, "nothing is prepared");
    assert_error(&replies[2], ErrorKind::Invalid, "at most 10");
    assert_error(&replies[3], ErrorKind::Invalid, "keep is 2");
}

#[test]
fn verify_reports_the_call_and_its_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let verify = json!({"op": "verify", "id": 2, "into": folder.path()});
    let replies = talk(&[job("up", &json!({"panic_at": 0})), verify]);
    let Reply::Verify { digest, iterations, converged, loss, .. } = &replies[1] else {
        panic!("{replies:?}")
    };
    assert_eq!((&digest_of(1), Some(3), Some(true), 2), (digest, *iterations, *converged, loss.len()));
}

#[test]
fn a_panic_is_reported_and_the_worker_continues() {
    let replies = talk(&[
        job("up", &json!({"panic_at": 2})),
        run(3, 1, None),
        run(1, 1, None),
        job("up", &json!({"panic_at": 0})),
        run(1, 1, None),
    ]);
    assert_error(&replies[1], ErrorKind::Panic, "the framework panicked");
    assert_error(&replies[2], ErrorKind::Invalid, "nothing is prepared");
    assert!(matches!(replies[4], Reply::Run { .. }));
}

#[test]
fn a_reply_that_is_too_long_becomes_an_error() {
    let replies = talk(&[job("up", &json!({"panic_at": 0})), run(60_000, 1, None), run(1, 1, None)]);
    assert_error(&replies[1], ErrorKind::Failed, "ask for less");
    assert!(matches!(replies[2], Reply::Run { .. }));
}

#[test]
fn a_plain_function_is_a_task() {
    let request = with(job("default", &json!({"n": 21})), "task", json!("double"));
    let replies = talk(&[request, run(1, 1, Some(0))]);
    let Reply::Run { digest, .. } = &replies[1] else { panic!("{replies:?}") };
    assert_eq!(&Some(Outputs::new().array("result", 42_i64).digest()), digest);
}
