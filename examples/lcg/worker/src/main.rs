//! A worker with the linear congruential generator of `bench_lcg.py`.

use std::process::ExitCode;

use duet_worker::Worker;

/// Return the state after `n` steps from the seed 1.
fn lcg(n: u64) -> i64 {
    let state = (0..n).fold(1_u64, |state, _| {
        state.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff
    });
    i64::try_from(state).expect("31 bits fit")
}

fn main() -> ExitCode {
    Worker::new("lcg", duet_worker::build_info!())
        .call("lcg", |job| {
            let n = job.u64("n")?;
            Ok(move || lcg(n))
        })
        // `duet self-test` times this to measure the overhead of a round.
        .call("noop", |_| Ok(|| 0_i64))
        .serve()
}
