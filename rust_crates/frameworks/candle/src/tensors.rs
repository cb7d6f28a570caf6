//! Conversion between a job's arrays and candle's tensors, and the part of training that the tasks share.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};
use duet_worker::{Array, Data, Error, Job, Outputs, Result};
use task_support::supervised::{Named, check_count};

/// Tensors by the names that PyTorch gives to weights.
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

/// Read named weights, and the integers in the same file.
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

/// Return the first `count` entries of `tensor`; errors call it `name`.
pub fn first(tensor: &Tensor, count: usize, name: &str) -> Result<Tensor> {
    check_count(name, count, tensor.dim(0)?)?;
    Ok(tensor.narrow(0, 0, count)?)
}

/// Read the rows of each batch, as many batches as the job has steps.
pub fn batches(job: &Job, name: &str) -> Result<Vec<Tensor>> {
    let steps = job.usize("steps")?;
    let batches = first(&integers(job, name)?, steps, name)?;
    Ok((0..steps).map(|step| batches.get(step)).collect::<Result<_, _>>()?)
}

/// Return the values of a tensor of 32-bit floats.
pub fn array(tensor: &Tensor) -> Result<Array> {
    Array::shaped(tensor.flatten_all()?.to_vec1::<f32>()?, tensor.dims())
}

/// Return the output of a network that predicts.
pub fn logits(logits: &Tensor) -> Result<Outputs> {
    Ok(Outputs::new().array("logits", array(logits)?))
}

/// Return the values of `variables`.
pub fn named(variables: &Variables) -> Result<Named> {
    variables.iter().map(|(name, weight)| Ok((name.clone(), array(weight)?))).collect()
}

/// Return the gradient of each of `variables`.
pub fn gradients<'a>(
    variables: impl IntoIterator<Item = (&'a String, &'a Var)>,
    gradients: &GradStore,
) -> Result<Named> {
    let gradient = |(name, weight): (&String, &Var)| {
        let gradient = gradients.get(weight).ok_or_else(|| {
            Error::failed(format!("weight {name:?} has no gradient: the network does not read it"))
        })?;
        Ok((name.clone(), array(gradient)?))
    };
    variables.into_iter().map(gradient).collect()
}

/// A model, its variables by name, and the optimiser that changes the trainable ones.
pub struct Learner<M> {
    pub variables: Variables,
    pub model: M,
    pub optimizer: AdamW,
}

impl<M> Learner<M> {
    /// Take one step down the gradient of `loss`, calling `inspect` before the weights change; return the loss.
    pub fn descend(
        &mut self,
        loss: &Tensor,
        inspect: impl FnOnce(&Self, &GradStore) -> Result<()>,
    ) -> Result<f64> {
        let gradients = loss.backward()?;
        inspect(self, &gradients)?;
        self.optimizer.step(&gradients)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }
}

/// Return an Adam optimiser of `variables`.
pub fn adam(variables: Vec<Var>, learning_rate: f64) -> Result<AdamW> {
    // Without weight decay AdamW is Adam.
    let params = ParamsAdamW { lr: learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
    Ok(AdamW::new(variables, params)?)
}

/// Scale the gradients of `variables` so that their common norm is at most `limit`, as PyTorch's `clip_grad_norm_` does.
pub fn clip_norm(gradients: &mut GradStore, variables: &Variables, limit: f64) -> Result<()> {
    let mut squares = 0.0;
    for each in variables.values() {
        if let Some(gradient) = gradients.get(each) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    // PyTorch adds this constant to avoid a division by zero.
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

/// Return variables with copies of `weights`, which training leaves unchanged.
pub fn variables<'a>(weights: impl Iterator<Item = (&'a String, &'a Tensor)>) -> Result<Variables> {
    weights.map(|(name, weight)| Ok((name.clone(), Var::from_tensor(&weight.copy()?)?))).collect()
}

/// Return tensors that share memory with `variables` and pass gradients on to them.
pub fn shared(variables: &Variables) -> Weights {
    variables.iter().map(|(name, each)| (name.clone(), each.as_tensor().clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_has_the_shape_of_its_tensor_whatever_the_layout() {
        let tensor = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 3), &Device::Cpu).unwrap();
        let turned = tensor.t().unwrap();
        let expected = Array::shaped(vec![1.0_f32, 4.0, 2.0, 5.0, 3.0, 6.0], &[3, 2]).unwrap();
        assert_eq!(expected, array(&turned).unwrap());
    }

    #[test]
    fn gradients_are_scaled_together_if_their_norm_is_above_the_limit() {
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
    fn reading_more_entries_than_there_are_is_an_error() {
        let tensor = Tensor::from_slice(&[1_i64, 2, 3], 3, &Device::Cpu).unwrap();
        assert_eq!(&[2], first(&tensor, 2, "batches").unwrap().dims());
        assert!(first(&tensor, 4, "batches").is_err());
        assert!(first(&tensor, 0, "batches").is_err());
    }
}
