//! Calls of one libtorch operator from a loop in Rust.

use duet_worker::{Call, Outputs, Registry};
use tch::Tensor;

use crate::tensors;

/// Register the operator.
pub fn register(registry: &mut Registry) {
    registry.add("dispatch", "add", "call", |job| {
        let (start, step) = (tensors::floats(job, "start")?, tensors::floats(job, "step")?);
        let calls = job.usize("calls")?;
        let add = move || {
            let mut x = start.shallow_clone();
            for _ in 0..calls {
                x = x.f_add(&step)?;
            }
            Ok(x)
        };
        let outputs = |sum: &Tensor| Ok(Outputs::new().array("sum", tensors::array(sum)?));
        Ok(Call::new(add, outputs).work("calls", calls))
    });
}
