//! The worker as a process: its streams, and its end with the end of its driver.
//!
//! With the argument `worker` this program is a worker, with `driver` a driver that dies; without arguments it runs the checks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use duet_worker::protocol::Reply;
use duet_worker::{BuildInfo, Worker};

const BUILD: BuildInfo = BuildInfo {
    source_digest: "",
    lock_digest: "",
    compiler: "rustc",
    profile: "release",
    features: "",
    dependencies: "",
};

const PREPARE: &str = r#"{"op":"prepare","id":1,"job":{"task":"noisy","algorithm":"default","phase":"call","workload":"w","variant":"","params":{},"seed":0,"threads":1,"device":"cpu","dtype":"f64","data":{}}}"#;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => worker(),
        Some("driver") => driver(),
        _ => {
            what_a_library_prints_goes_to_standard_error();
            the_end_of_requests_ends_the_worker();
            #[cfg(target_os = "linux")]
            the_end_of_the_driver_ends_the_worker();
            println!("test result: ok. 3 passed; 0 failed");
            ExitCode::SUCCESS
        }
    }
}

fn worker() -> ExitCode {
    let worker = Worker::new("noisy", BUILD).call("noisy", |_| {
        Ok(|| {
            println!("a library says hello");
            1.0
        })
    });
    worker.serve()
}

/// Start a worker on this process's own input, wait for its first reply, print its process id, and abort.
fn driver() -> ExitCode {
    let mut worker = command("worker").stdin(Stdio::inherit()).spawn().unwrap();
    let mut reply = String::new();
    BufReader::new(worker.stdout.as_mut().unwrap()).read_line(&mut reply).unwrap();
    println!("{}", worker.id());
    std::process::abort();
}

fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(role: &str) -> Child {
    command(role).spawn().unwrap()
}

fn what_a_library_prints_goes_to_standard_error() {
    let mut worker = start("worker");
    let requests =
        format!("{PREPARE}\n{{\"op\":\"run\",\"id\":2,\"rounds\":1,\"iterations\":2,\"keep\":null}}\n");
    worker.stdin.take().unwrap().write_all(requests.as_bytes()).unwrap();
    let output = worker.wait_with_output().unwrap();
    let replies: Vec<Reply> = output
        .stdout
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| Reply::decode(line).unwrap())
        .collect();
    assert!(matches!(replies[..], [Reply::Prepare { id: 1, .. }, Reply::Run { id: 2, .. }]), "{replies:?}");
    assert_eq!("a library says hello\n".repeat(2), String::from_utf8(output.stderr).unwrap());
}

fn the_end_of_requests_ends_the_worker() {
    let mut worker = start("worker");
    drop(worker.stdin.take());
    assert!(worker.wait().unwrap().success());
}

/// Keep the worker's input open, so that only the death of its driver can end it.
#[cfg(target_os = "linux")]
fn the_end_of_the_driver_ends_the_worker() {
    let mut driver = start("driver");
    let mut requests = driver.stdin.take().unwrap();
    requests.write_all(b"{\"op\":\"hello\",\"id\":1}\n").unwrap();
    let mut id = String::new();
    BufReader::new(driver.stdout.take().unwrap()).read_line(&mut id).unwrap();
    driver.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_running(id.trim()) {
        assert!(Instant::now() < deadline, "the worker has outlived its driver");
        std::thread::yield_now();
    }
}

/// Return whether a process runs; one that has ended may stay listed as a zombie until its new parent waits for it.
#[cfg(target_os = "linux")]
fn is_running(id: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
