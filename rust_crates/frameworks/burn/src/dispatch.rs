//! Calls of one burn operator from a loop in Rust.

use burn_core::tensor::Tensor;
use burn_flex::Flex;
use duet_worker::{Call, Job, Outputs, Registry};

use crate::layers::array;
use crate::networks::examples;

/// Register the operator.
pub fn register(registry: &mut Registry) {
    registry.add("dispatch", "add", "call", |job: &Job| {
        let start: Tensor<Flex, 1> = examples(job, "start", usize::MAX)?;
        let step: Tensor<Flex, 1> = examples(job, "step", usize::MAX)?;
        let calls = job.usize("calls")?;
        let add = move || {
            let mut x = start.clone();
            for _ in 0..calls {
                x = x.add(step.clone());
            }
            Ok(x)
        };
        let outputs = |sum: &Tensor<Flex, 1>| Ok(Outputs::new().array("sum", array(sum)?));
        Ok(Call::new(add, outputs).work("calls", calls))
    });
}
