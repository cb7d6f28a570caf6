//! Conversion between a job's arrays and libtorch's tensors, and the part of training that the tasks share.

use std::collections::BTreeMap;

use duet_worker::{Array, Data, Error, Job, Outputs, Result};
use task_support::supervised::{Named, check_count};
use tch::nn::{Optimizer, VarStore};
use tch::{Device, Kind, Tensor};

/// Tensors by the names that PyTorch gives to weights.
pub type Weights = BTreeMap<String, Tensor>;

/// Read an array of 32-bit floats.
pub fn floats(job: &Job, name: &str) -> Result<Tensor> {
    let (shape, values) = job.array_f32(name)?;
    shaped(&Tensor::from_slice(&values), &shape)
}

/// Read an array of 64-bit integers.
pub fn integers(job: &Job, name: &str) -> Result<Tensor> {
    let (shape, values) = job.array_i64(name)?;
    shaped(&Tensor::from_slice(&values), &shape)
}

/// Read named weights.
pub fn weights(job: &Job, name: &str) -> Result<Weights> {
    let arrays = job.tensors(name)?.into_iter();
    let tensors = arrays.map(|(name, array)| {
        let flat = match array.data() {
            Data::F32(values) => Tensor::from_slice(values),
            Data::F64(values) => Tensor::from_slice(values),
            Data::I64(values) => Tensor::from_slice(values),
        };
        Ok((name, shaped(&flat, array.shape())?))
    });
    tensors.collect()
}

/// Return the first `count` entries of `tensor`; errors call it `name`.
pub fn first(tensor: &Tensor, count: usize, name: &str) -> Result<Tensor> {
    let length = tensor.size().first().copied().unwrap_or_default();
    check_count(name, count, usize::try_from(length)?)?;
    Ok(tensor.f_narrow(0, 0, i64::try_from(count)?)?)
}

/// Read the rows of each batch, as many batches as the job has steps.
pub fn batches(job: &Job, name: &str, device: Device) -> Result<Vec<Tensor>> {
    let batches = first(&integers(job, name)?, job.usize("steps")?, name)?;
    Ok(batches.to_device(device).unbind(0))
}

/// Copy `weights` into the variables of `model`; both must have the same names.
pub fn copy_into(model: &VarStore, weights: &Weights) -> Result<()> {
    let mut variables = model.variables();
    if let Some(name) = weights.keys().find(|name| !variables.contains_key(*name)) {
        return Err(Error::invalid(format!("weight {name:?} is not in the model; leave it out")));
    }
    for (name, variable) in &mut variables {
        let weight = weights.get(name);
        let weight = weight
            .ok_or_else(|| Error::invalid(format!("weight {name:?} is missing; add it to the file")))?;
        if weight.size() != variable.size() {
            let (found, wanted) = (weight.size(), variable.size());
            return Err(Error::invalid(format!(
                "weight {name:?} has the shape {found:?}; write it as {wanted:?}"
            )));
        }
        tch::no_grad(|| variable.f_copy_(weight))?;
    }
    Ok(())
}

/// Return the values of a tensor of 32-bit floats.
pub fn array(tensor: &Tensor) -> Result<Array> {
    let values = Vec::<f32>::try_from(tensor.detach().to_kind(Kind::Float).contiguous().view(-1))?;
    let shape: Result<Vec<usize>, _> = tensor.size().into_iter().map(usize::try_from).collect();
    Array::shaped(values, &shape?)
}

/// Return the output of a network that predicts.
pub fn logits(logits: &Tensor) -> Result<Outputs> {
    Ok(Outputs::new().array("logits", array(logits)?))
}

/// Return the values of `variables`.
pub fn named(variables: &VarStore) -> Result<Named> {
    variables.variables().into_iter().map(|(name, weight)| Ok((name, array(&weight)?))).collect()
}

/// Return the gradient of each trainable one of `variables`.
pub fn gradients(variables: &VarStore) -> Result<Named> {
    let trainable = variables.variables().into_iter().filter(|(_, weight)| weight.requires_grad());
    trainable.map(|(name, weight)| Ok((name, array(&weight.grad())?))).collect()
}

/// A model, its variables, and the optimiser that changes the trainable ones.
pub struct Learner<M> {
    pub variables: VarStore,
    pub model: M,
    pub optimizer: Optimizer,
}

impl<M> Learner<M> {
    /// Take one step down the gradient of `loss`, calling `inspect` before the weights change; return the loss.
    ///
    /// Clear the gradients before computing the loss.
    pub fn descend(&mut self, loss: &Tensor, inspect: impl FnOnce(&Self, &()) -> Result<()>) -> Result<f64> {
        loss.backward();
        inspect(self, &())?;
        self.optimizer.step();
        Ok(loss.double_value(&[]))
    }
}

fn shaped(tensor: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let shape: Result<Vec<i64>, _> = shape.iter().map(|&length| i64::try_from(length)).collect();
    Ok(tensor.f_reshape(shape?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn;

    fn model() -> VarStore {
        let variables = VarStore::new(Device::Cpu);
        let _ = nn::linear(variables.root() / "fc", 2, 1, nn::LinearConfig::default());
        variables
    }

    fn given(weight: &[f32], shape: &[i64]) -> Weights {
        let bias = Tensor::from_slice(&[3.0_f32]);
        let weight = Tensor::from_slice(weight).reshape(shape);
        BTreeMap::from([("fc.weight".to_owned(), weight), ("fc.bias".to_owned(), bias)])
    }

    #[test]
    fn weights_are_copied_by_name_and_not_shared() {
        let (model, weights) = (model(), given(&[1.0, 2.0], &[1, 2]));
        copy_into(&model, &weights).unwrap();
        let copied = &model.variables()["fc.weight"];
        assert_eq!(&Array::shaped(vec![1.0_f32, 2.0], &[1, 2]).unwrap(), &array(copied).unwrap());
        assert_ne!(weights["fc.weight"].data_ptr(), copied.data_ptr());
    }

    #[test]
    fn an_error_names_the_weight_that_does_not_fit() {
        let mut extra = given(&[1.0, 2.0], &[1, 2]);
        extra.insert("other".to_owned(), Tensor::from_slice(&[1.0_f32]));
        let mut short = given(&[1.0, 2.0], &[1, 2]);
        short.remove("fc.bias");
        // Broadcasting would otherwise copy this one to both.
        let narrow = given(&[1.0], &[1, 1]);
        for (weights, name) in [(extra, "other"), (short, "fc.bias"), (narrow, "fc.weight")] {
            assert!(copy_into(&model(), &weights).unwrap_err().message.contains(name));
        }
    }

    #[test]
    fn reading_more_entries_than_there_are_is_an_error() {
        let tensor = Tensor::from_slice(&[1_i64, 2, 3]);
        assert_eq!(vec![2], first(&tensor, 2, "batches").unwrap().size());
        assert!(first(&tensor, 4, "batches").is_err());
        assert!(first(&tensor, 0, "batches").is_err());
    }
}
