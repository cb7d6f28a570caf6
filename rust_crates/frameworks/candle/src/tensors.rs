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
    outputs = weights_of(outputs, "weights", after)?;
    outputs = weights_of(outputs, "first_weights", first)?;
    for (name, weight) in first {
        if is_learnt(name) {
            let gradient = gradients.get(weight).ok_or_else(|| {
                Error::failed(format!("weight {name:?} has no gradient; the network does not read it"))
            })?;
            outputs = outputs.array(format!("first_gradient.{name}"), array(gradient)?);
        }
    }
    Ok(outputs)
}

/// Add every weight to `outputs`, after `prefix` and a dot.
pub fn weights_of(mut outputs: Outputs, prefix: &str, variables: &Variables) -> Result<Outputs> {
    for (name, weight) in variables {
        outputs = outputs.array(format!("{prefix}.{name}"), array(weight)?);
    }
    Ok(outputs)
}

/// Scale the gradients of `variables` so that the norm of all together is at most `limit`, as PyTorch's `clip_grad_norm_` does.
pub fn clip_norm(gradients: &mut GradStore, variables: &Variables, limit: f64) -> Result<()> {
    let mut squares = 0.0;
    for each in variables.values() {
        if let Some(gradient) = gradients.get(each) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    // What PyTorch adds keeps it from dividing by zero.
    let scale = limit / (squares.sqrt() + 1e-6);
    if scale < 1.0 {
        for each in variables.values() {
            if let Some(gradient) = gradients.remove(each) {
                gradients.insert(each, (gradient * scale)?);
            }
        }
    }
    Ok(())
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
    fn gradients_are_scaled_together_where_their_norm_is_above_the_limit() {
        let weights = Weights::from([
            ("a".to_owned(), Tensor::from_slice(&[3.0_f32], 1, &Device::Cpu).unwrap()),
            ("b".to_owned(), Tensor::from_slice(&[4.0_f32], 1, &Device::Cpu).unwrap()),
        ]);
        let variables = variables(weights.iter()).unwrap();
        // The gradient of half the square of a number is the number.
        let half = |name: &str| (variables[name].sqr().unwrap() * 0.5).unwrap();
        let loss = (half("a") + half("b")).unwrap().sum_all().unwrap();
        for (limit, expected) in [(10.0, [3.0, 4.0]), (2.5, [1.5, 2.0])] {
            let mut gradients = loss.backward().unwrap();
            clip_norm(&mut gradients, &variables, limit).unwrap();
            for (name, expected) in ["a", "b"].into_iter().zip(expected) {
                let found = gradients.get(&variables[name]).unwrap().to_vec1::<f32>().unwrap()[0];
                assert!((found - expected).abs() < 1e-5, "{found}");
            }
        }
    }

    #[test]
    fn no_more_entries_than_there_are_can_be_read() {
        let tensor = Tensor::from_slice(&[1_i64, 2, 3], 3, &Device::Cpu).unwrap();
        assert_eq!(&[2], first(&tensor, 2, "batches").unwrap().dims());
        assert!(first(&tensor, 4, "batches").is_err());
        assert!(first(&tensor, 0, "batches").is_err());
    }
}
