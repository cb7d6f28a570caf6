//! Arrays of a job as tensors of candle, and back.
//!
//! Not for computing: the tasks do that with tensors alone.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use duet_worker::{Array, Data, Error, Job, Outputs, Result};

/// Tensors by the names PyTorch gives them.
pub type Weights = HashMap<String, Tensor>;

/// Variables by the same names.
pub type Variables = BTreeMap<String, Var>;

/// Read an array of 32-bit floats.
pub fn floats(job: &Job, name: &str) -> Result<Tensor> {
    let (shape, values) = job.array_f32(name)?;
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Read an array of 64-bit integers.
pub fn integers(job: &Job, name: &str) -> Result<Tensor> {
    let (shape, values) = job.array_i64(name)?;
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Read named weights, and the integers that stand beside them.
pub fn weights(job: &Job, name: &str) -> Result<Weights> {
    let arrays = job.tensors(name)?.into_iter();
    let tensors = arrays.map(|(name, array)| {
        let tensor = match array.data() {
            Data::F32(values) => Tensor::from_slice(values, array.shape(), &Device::Cpu)?,
            Data::I64(values) => Tensor::from_slice(values, array.shape(), &Device::Cpu)?,
            Data::F64(_) => {
                return Err(Error::invalid(format!("weight {name:?} is not f32; write it as f32")));
            }
        };
        Ok((name, tensor))
    });
    tensors.collect()
}

/// Read the first `count` entries of `tensor`, which is called `name` in messages.
pub fn first(tensor: &Tensor, count: usize, name: &str) -> Result<Tensor> {
    let length = tensor.dim(0)?;
    if count < 1 || count > length {
        return Err(Error::invalid(format!(
            "{name} has {length} entries, {count} are asked for; ask for 1 to {length}"
        )));
    }
    Ok(tensor.narrow(0, 0, count)?)
}

/// Hand a tensor of 32-bit floats over.
pub fn array(tensor: &Tensor) -> Result<Array> {
    Array::shaped(tensor.flatten_all()?.to_vec1::<f32>()?, tensor.dims())
}

/// What is left of training: the weights after all steps with the loss before each; the weights, the gradients and the
/// loss of the first step alone, which is taken again off the clock. Only those that `is_learnt` names have gradients.
pub fn trained(
    (after, losses): (&Variables, &[f32]),
    (first, first_loss, gradients): (&Variables, f32, &GradStore),
    is_learnt: impl Fn(&str) -> bool,
) -> Result<Outputs> {
    let mut outputs = Outputs::new()
        .array("loss", losses.to_vec())
        .array("first_loss", vec![first_loss])
        .loss(losses.iter().copied().map(f64::from).collect());
    for (name, weight) in after {
        outputs = outputs.array(format!("weights.{name}"), array(weight)?);
    }
    for (name, weight) in first {
        outputs = outputs.array(format!("first_weights.{name}"), array(weight)?);
        if is_learnt(name) {
            let gradient = gradients.get(weight).ok_or_else(|| {
                Error::failed(format!("weight {name:?} has no gradient; the network does not read it"))
            })?;
            outputs = outputs.array(format!("first_gradient.{name}"), array(gradient)?);
        }
    }
    Ok(outputs)
}

/// Make variables of copies of `weights`, so that training leaves these as they are.
pub fn variables<'a>(weights: impl Iterator<Item = (&'a String, &'a Tensor)>) -> Result<Variables> {
    weights.map(|(name, weight)| Ok((name.clone(), Var::from_tensor(&weight.copy()?)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_handed_over_in_its_shape_whatever_its_layout() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 3), &Device::Cpu).unwrap();
        let turned = tensor.t().unwrap();
        let expected = Array::shaped(vec![1.0_f32, 4.0, 2.0, 5.0, 3.0, 6.0], &[3, 2]).unwrap();
        assert_eq!(expected, array(&turned).unwrap());
    }

    #[test]
    fn no_more_entries_than_there_are_can_be_read() {
        let tensor = Tensor::from_slice(&[1_i64, 2, 3], 3, &Device::Cpu).unwrap();
        assert_eq!(&[2], first(&tensor, 2, "batches").unwrap().dims());
        assert!(first(&tensor, 4, "batches").is_err());
        assert!(first(&tensor, 0, "batches").is_err());
    }
}
