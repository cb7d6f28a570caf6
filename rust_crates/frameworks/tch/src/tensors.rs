//! Arrays of a job as tensors of libtorch, and back.
//!
//! Not for computing: the tasks do that with tensors alone.

use std::collections::BTreeMap;

use duet_rooms::learner::narrow;
use duet_worker::{Array, Data, Error, Job, Outputs, Result};
use tch::nn::VarStore;
use tch::{Kind, Tensor};

/// Tensors by the names PyTorch gives them.
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

/// Read the first `count` entries of `tensor`, which is called `name` in messages.
pub fn first(tensor: &Tensor, count: usize, name: &str) -> Result<Tensor> {
    let length = tensor.size().first().copied().unwrap_or_default();
    let count = i64::try_from(count)?;
    if count < 1 || count > length {
        return Err(Error::invalid(format!(
            "{name} has {length} entries, {count} are asked for; ask for 1 to {length}"
        )));
    }
    Ok(tensor.f_narrow(0, 0, count)?)
}

/// Copy `weights` into the variables of `model`; both must have the same names.
pub fn copy_into(model: &VarStore, weights: &Weights) -> Result<()> {
    let mut variables = model.variables();
    if let Some(name) = weights.keys().find(|name| !variables.contains_key(*name)) {
        return Err(Error::invalid(format!("weight {name:?} has no place in the model; leave it out")));
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

/// Hand a tensor of 32-bit floats over.
pub fn array(tensor: &Tensor) -> Result<Array> {
    let values = Vec::<f32>::try_from(tensor.detach().to_kind(Kind::Float).contiguous().view(-1))?;
    let shape: Result<Vec<usize>, _> = tensor.size().into_iter().map(usize::try_from).collect();
    Array::shaped(values, &shape?)
}

/// What is left of training: the weights after all steps with the loss before each; the weights, the gradients and the
/// loss of the first step alone, which is taken again off the clock.
pub fn trained(after: &VarStore, losses: &[f64], first: &VarStore, first_loss: f64) -> Result<Outputs> {
    let outputs = Outputs::new()
        .array("loss", narrow(losses))
        .array("first_loss", narrow(&[first_loss]))
        .loss(losses.to_vec());
    let mut outputs = weights_of(outputs, "first_weights", first)?;
    for (name, weight) in first.variables() {
        if weight.requires_grad() {
            outputs = outputs.array(format!("first_gradient.{name}"), array(&weight.grad())?);
        }
    }
    weights_of(outputs, "weights", after)
}

/// Add every weight to `outputs`, after `prefix` and a dot.
pub fn weights_of(mut outputs: Outputs, prefix: &str, variables: &VarStore) -> Result<Outputs> {
    for (name, weight) in variables.variables() {
        outputs = outputs.array(format!("{prefix}.{name}"), array(&weight)?);
    }
    Ok(outputs)
}

fn shaped(tensor: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let shape: Result<Vec<i64>, _> = shape.iter().map(|&length| i64::try_from(length)).collect();
    Ok(tensor.f_reshape(shape?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn};

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
    fn weights_that_do_not_fit_are_refused_by_name() {
        let mut extra = given(&[1.0, 2.0], &[1, 2]);
        extra.insert("other".to_owned(), Tensor::from_slice(&[1.0_f32]));
        let mut short = given(&[1.0, 2.0], &[1, 2]);
        short.remove("fc.bias");
        // One that broadcasting would otherwise spread over the two.
        let narrow = given(&[1.0], &[1, 1]);
        for (weights, name) in [(extra, "other"), (short, "fc.bias"), (narrow, "fc.weight")] {
            assert!(copy_into(&model(), &weights).unwrap_err().message.contains(name));
        }
    }

    #[test]
    fn no_more_entries_than_there_are_can_be_read() {
        let tensor = Tensor::from_slice(&[1_i64, 2, 3]);
        assert_eq!(vec![2], first(&tensor, 2, "batches").unwrap().size());
        assert!(first(&tensor, 4, "batches").is_err());
        assert!(first(&tensor, 0, "batches").is_err());
    }
}
