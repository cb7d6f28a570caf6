//! The session: one reply to each request, whatever happens.

use std::any::Any;
use std::io::{self, BufRead, Read as _, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::implementation::{Measured, Prepared};
use crate::protocol::{ErrorKind, JobMessage, LINE_LIMIT_BYTES, Number, Reply, Request, VERSION};
use crate::{Error, Job, Outputs, Result, Worker};

/// A session with one driver.
struct Session<'a> {
    worker: &'a Worker,
    prepared: Option<Box<dyn Prepared>>,
}

/// Answer `requests` in order until they end or one is `quit`.
pub(crate) fn serve(worker: &Worker, mut requests: impl BufRead, mut replies: impl Write) -> io::Result<()> {
    let mut session = Session { worker, prepared: None };
    while let Some(line) = next_line(&mut requests)? {
        let (reply, leave) = match line.and_then(|line| Request::decode(&line)) {
            Ok(request) => session.answer(request),
            Err(message) => (Reply::Error { id: 0, kind: ErrorKind::Invalid, message }, false),
        };
        replies.write_all(&encode(&reply)?)?;
        replies.flush()?;
        if leave {
            break;
        }
    }
    Ok(())
}

/// Read one line; skip the rest of one that is too long and return an error, so that the next line is read from its start.
fn next_line(requests: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let mut line = Vec::new();
    // Keep at most one byte beyond the limit, however long the line is.
    requests.take(LINE_LIMIT_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() <= LINE_LIMIT_BYTES {
        return Ok(Some(Ok(line)));
    }
    if line.last() != Some(&b'\n') {
        requests.skip_until(b'\n')?;
    }
    Ok(Some(Err(format!(
        "a line is longer than the limit of {LINE_LIMIT_BYTES} bytes; send shorter requests"
    ))))
}

/// Encode a reply as one line; replace one that is too long with an error.
fn encode(reply: &Reply) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    if line.len() <= LINE_LIMIT_BYTES {
        return Ok(line);
    }
    let id = reply.id();
    let message =
        format!("the reply is {} bytes, over the limit of {LINE_LIMIT_BYTES}; ask for less", line.len());
    encode(&Reply::Error { id, kind: ErrorKind::Failed, message })
}

impl Session<'_> {
    /// Return the reply and whether to leave after it.
    fn answer(&mut self, request: Request) -> (Reply, bool) {
        let id = request.id();
        let leave = matches!(request, Request::Quit { .. });
        let caught = catch_unwind(AssertUnwindSafe(|| self.carry_out(request)));
        let reply = match caught {
            Ok(Ok(reply)) => reply,
            Ok(Err(Error { kind, message })) => Reply::Error { id, kind, message: shortened(&message) },
            Err(panic) => {
                // Never measure an implementation again after a panic; dropping it may panic too.
                let prepared = self.prepared.take();
                let _ = catch_unwind(AssertUnwindSafe(|| drop(prepared)));
                let message = shortened(panic_message(panic.as_ref()));
                Reply::Error { id, kind: ErrorKind::Panic, message }
            }
        };
        (reply, leave)
    }

    fn carry_out(&mut self, request: Request) -> Result<Reply> {
        match request {
            Request::Hello { id, protocol: VERSION } => Ok(self.worker.hello(id)),
            Request::Hello { protocol, .. } => Err(Error::unsupported(format!(
                "the driver speaks protocol {protocol}, this worker {VERSION}; build both from one tree"
            ))),
            Request::Describe { id } => {
                Ok(Reply::Describe { id, implementations: self.worker.registry.capabilities() })
            }
            Request::Prepare { id, job } => self.prepare(id, job),
            Request::Verify { id, into } => self.verify(id, Path::new(&into)),
            Request::Run { id, rounds, iterations, keep } => self.run(id, rounds, iterations, keep),
            Request::Outputs { id, into } => self.outputs(id, Path::new(&into)),

            Request::Quit { id } => Ok(Reply::Quit { id }),
        }
    }

    fn prepare(&mut self, id: u64, message: JobMessage) -> Result<Reply> {
        // If this request fails, the previous job must not be measured under the new one's name.
        self.prepared = None;
        let prepare = self.worker.registry.find(&message)?;
        if !["f32", "f64"].contains(&message.dtype.as_str()) {
            return Err(Error::invalid(format!("dtype {:?} is unknown; use f32 or f64", message.dtype)));
        }
        let asked = usize::try_from(message.threads).ok().filter(|&threads| threads > 0);
        let asked = asked
            .ok_or_else(|| Error::invalid(format!("threads is {}; ask for at least 1", message.threads)))?;
        let (device, dtype) = (message.device.clone(), message.dtype.clone());
        let threads = self.worker.apply_threads(asked);
        let job = Job::new(message, threads);
        let prepared = prepare(&job)?;
        let read = job.into_read()?;
        let max_iterations = prepared.max_iterations();
        self.prepared = Some(prepared);
        let threads = threads as u64;
        Ok(Reply::Prepare {
            id,
            params: read.params,
            threads,
            device,
            dtype,
            data: read.data,
            max_iterations,
        })
    }

    fn verify(&mut self, id: u64, into: &Path) -> Result<Reply> {
        let (elapsed_ns, outputs) = self.prepared()?.verify()?;
        let paths = outputs.write(into)?;
        let digest = outputs.digest();
        let Outputs { iterations, converged, loss, .. } = outputs;
        let loss = spread(&loss).into_iter().map(Number::from).collect();
        Ok(Reply::Verify { id, outputs: paths, digest, iterations, converged, loss, elapsed_ns })
    }

    fn run(&mut self, id: u64, rounds: u64, iterations: u64, keep: Option<u64>) -> Result<Reply> {
        if let Some(keep) = keep.filter(|&keep| keep >= rounds) {
            let what = format!("keep is {keep}, but there are {rounds} rounds; keep one below {rounds}");
            return Err(Error::invalid(what));
        }
        let prepared = self.prepared()?;
        if let Some(limit) = prepared.max_iterations().filter(|&limit| iterations > limit) {
            let what = format!("iterations is {iterations}, over this job's limit; ask for at most {limit}");
            return Err(Error::invalid(what));
        }
        let Measured { elapsed_ns, spans } = prepared.measure(rounds, iterations, keep)?;
        let kept = if keep.is_some() { prepared.kept()? } else { None };
        let digest = kept.map(|outputs| outputs.digest());
        let work = prepared.work();
        Ok(Reply::Run { id, elapsed_ns, digest, spans, work })
    }

    fn outputs(&mut self, id: u64, into: &Path) -> Result<Reply> {
        let kept = self.prepared()?.kept()?;
        let kept = kept.ok_or_else(|| Error::invalid("no output is kept; send a run with keep first"))?;
        Ok(Reply::Outputs { id, outputs: kept.write(into)?, digest: kept.digest() })
    }

    fn prepared(&mut self) -> Result<&mut (dyn Prepared + 'static)> {
        let prepared = self.prepared.as_deref_mut();
        prepared.ok_or_else(|| Error::invalid("nothing is prepared; send a prepare first"))
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let message = panic.downcast_ref::<&str>().copied();
    message
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Return all of `losses`, or evenly spaced ones, including the first and the last, if a reply cannot hold them all.
fn spread(losses: &[f64]) -> Vec<f64> {
    const LIMIT: usize = 1000;
    match losses.len() {
        0..=LIMIT => losses.to_vec(),
        count => (0..LIMIT).map(|at| losses[at * (count - 1) / (LIMIT - 1)]).collect(),
    }
}

/// Cut a framework's message to a length that fits a line.
fn shortened(message: &str) -> String {
    const LIMIT: usize = 4000;
    message.chars().take(LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_is_thinned_out_evenly_from_its_first_to_its_last_value() {
        let losses: Vec<f64> = (0..12_500).map(f64::from).collect();
        let kept = spread(&losses);
        assert_eq!((1000, 0.0, 12_499.0), (kept.len(), kept[0], kept[999]));
        assert!(kept.windows(2).all(|pair| (12.0..=13.0).contains(&(pair[1] - pair[0]))));
        assert_eq!(losses[..1000], spread(&losses[..1000]));
    }
}
