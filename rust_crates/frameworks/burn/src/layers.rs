//! burn layers built from PyTorch's weights, and their weights and gradients in PyTorch's layout.

use std::collections::BTreeMap;

use burn_core::module::{Param, RunningState};
use burn_core::tensor::backend::Backend;
use burn_core::tensor::{Tensor, TensorData};
use burn_nn::conv::{Conv2d, Conv2dConfig};
use burn_nn::{BatchNorm, BatchNormConfig, GateController, Linear, LinearConfig, PaddingConfig2d};
use burn_optim::GradientsParams;
use duet_worker::{Array, Data, Error, Job, Result};
use task_support::supervised::Named;

/// Arrays by the names that PyTorch gives to weights.
pub struct Weights(BTreeMap<String, Array>);

impl Weights {
    /// Read the weights in data file `name`.
    pub fn of(job: &Job, name: &str) -> Result<Self> {
        Ok(Self(job.tensors(name)?))
    }

    /// Return the shape and the values of one weight.
    pub fn get(&self, name: &str) -> Result<(&[usize], &[f32])> {
        let array = self.0.get(name);
        let array =
            array.ok_or_else(|| Error::invalid(format!("weight {name:?} is missing; add it to the file")))?;
        match array.data() {
            Data::F32(values) => Ok((array.shape(), values)),
            _ => Err(Error::invalid(format!("weight {name:?} is not f32; write it as f32"))),
        }
    }

    fn tensor<B: Backend, const D: usize>(&self, name: &str) -> Result<Tensor<B, D>> {
        let (shape, values) = self.get(name)?;
        if shape.len() != D {
            return Err(Error::invalid(format!(
                "weight {name:?} has the shape {shape:?}; give it {D} dimensions"
            )));
        }
        Ok(Tensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()), &B::Device::default()))
    }

    /// Return a convolution with PyTorch's weights.
    pub fn conv<B: Backend>(&self, name: &str, stride: usize, padding: usize) -> Result<Conv2d<B>> {
        let weight: Tensor<B, 4> = self.tensor(&format!("{name}.weight"))?;
        let [outputs, inputs, height, width] = weight.dims();
        let bias = self.0.contains_key(&format!("{name}.bias"));
        let mut layer = Conv2dConfig::new([inputs, outputs], [height, width])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
            .with_bias(bias)
            .init(&B::Device::default());
        layer.weight = Param::from_tensor(weight);
        if bias {
            layer.bias = Some(Param::from_tensor(self.tensor(&format!("{name}.bias"))?));
        }
        Ok(layer)
    }

    /// Return a linear layer with PyTorch's weights, which burn stores transposed.
    pub fn linear<B: Backend>(&self, name: &str) -> Result<Linear<B>> {
        let weight: Tensor<B, 2> = self.tensor(&format!("{name}.weight"))?;
        let [outputs, inputs] = weight.dims();
        let mut layer = LinearConfig::new(inputs, outputs).init(&B::Device::default());
        layer.weight = Param::from_tensor(transposed(weight));
        layer.bias = Some(Param::from_tensor(self.tensor(&format!("{name}.bias"))?));
        Ok(layer)
    }

    /// Return a batch norm with PyTorch's weights and statistics.
    pub fn norm<B: Backend>(&self, name: &str) -> Result<BatchNorm<B>> {
        let of = |what: &str| self.tensor::<B, 1>(&format!("{name}.{what}"));
        let mut layer = BatchNormConfig::new(of("weight")?.dims()[0]).init(&B::Device::default());
        layer.gamma = Param::from_tensor(of("weight")?);
        layer.beta = Param::from_tensor(of("bias")?);
        layer.running_mean = RunningState::new(of("running_mean")?);
        layer.running_var = RunningState::new(of("running_var")?);
        Ok(layer)
    }

    /// Set the weights of `gates`, which are in the order of PyTorch's blocks of rows, to those of one recurrent layer.
    pub fn fill_gates<B: Backend>(&self, name: &str, gates: &mut [&mut GateController<B>]) -> Result<()> {
        let count = gates.len();
        for which in ["ih", "hh"] {
            let weight: Tensor<B, 2> = self.tensor(&format!("{name}.weight_{which}_l0"))?;
            let bias: Tensor<B, 1> = self.tensor(&format!("{name}.bias_{which}_l0"))?;
            let weights = weight.chunk(count, 0).into_iter().zip(bias.chunk(count, 0));
            for (gate, (weight, bias)) in gates.iter_mut().zip(weights) {
                let layer =
                    if which == "ih" { &mut gate.input_transform } else { &mut gate.hidden_transform };
                layer.weight = Param::from_tensor(transposed(weight));
                layer.bias = Some(Param::from_tensor(bias));
            }
        }
        Ok(())
    }
}

/// Return the transposed matrix in new memory, as burn itself allocates it for a layer.
fn transposed<B: Backend>(matrix: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, columns] = matrix.dims();
    let data = matrix.transpose().into_data();
    debug_assert_eq!(data.shape.as_slice(), &[columns, rows]);
    Tensor::from_data(data, &B::Device::default())
}

/// Reads either the value or the gradient of a parameter.
pub trait Read<B: Backend> {
    /// Return the numbers in row-major order.
    fn read<const D: usize>(&self, param: &Param<Tensor<B, D>>) -> Result<TensorData>;
}

/// Reads the value of a parameter.
pub struct Values;

impl<B: Backend> Read<B> for Values {
    fn read<const D: usize>(&self, param: &Param<Tensor<B, D>>) -> Result<TensorData> {
        Ok(param.val().into_data())
    }
}

/// Reads the gradient of a parameter; the second field only names the backend of the gradients.
pub struct Gradients<'a, I>(pub &'a GradientsParams, pub std::marker::PhantomData<I>);

impl<B: Backend, I: Backend> Read<B> for Gradients<'_, I> {
    fn read<const D: usize>(&self, param: &Param<Tensor<B, D>>) -> Result<TensorData> {
        let gradient = self.0.get::<I, D>(param.id);
        let gradient = gradient
            .ok_or_else(|| Error::invalid("a weight has no gradient: the network does not read it"))?;
        Ok(gradient.into_data())
    }
}

/// Collects the values or gradients of layers, under PyTorch's names and in its layout.
pub struct Collector<'a, R> {
    reader: &'a R,
    /// The arrays collected so far.
    pub arrays: Named,
}

impl<'a, R> Collector<'a, R> {
    /// Return an empty collector that reads with `reader`.
    pub fn new(reader: &'a R) -> Self {
        Self { reader, arrays: Named::new() }
    }

    fn put(&mut self, name: String, values: Vec<f32>, shape: &[usize]) -> Result<()> {
        self.arrays.insert(name, Array::shaped(values, shape)?);
        Ok(())
    }

    fn param<B: Backend, const D: usize>(&mut self, name: String, param: &Param<Tensor<B, D>>) -> Result<()>
    where
        R: Read<B>,
    {
        let data = self.reader.read(param)?;
        let shape = param.dims();
        self.put(name, floats(data)?, &shape)
    }

    /// Collect a convolution.
    pub fn conv<B: Backend>(&mut self, name: &str, layer: &Conv2d<B>) -> Result<()>
    where
        R: Read<B>,
    {
        self.param(format!("{name}.weight"), &layer.weight)?;
        layer.bias.iter().try_for_each(|bias| self.param(format!("{name}.bias"), bias))
    }

    /// Collect a linear layer.
    pub fn linear<B: Backend>(&mut self, name: &str, layer: &Linear<B>) -> Result<()>
    where
        R: Read<B>,
    {
        let [inputs, outputs] = layer.weight.dims();
        let rows = by_output(&floats(self.reader.read(&layer.weight)?)?, inputs, outputs);
        self.put(format!("{name}.weight"), rows, &[outputs, inputs])?;
        layer.bias.iter().try_for_each(|bias| self.param(format!("{name}.bias"), bias))
    }

    /// Collect the gates of one recurrent layer, in the order of PyTorch's blocks of rows.
    pub fn gates<B: Backend>(&mut self, name: &str, gates: &[&GateController<B>]) -> Result<()>
    where
        R: Read<B>,
    {
        for which in ["ih", "hh"] {
            let (mut weights, mut biases) = (Vec::new(), Vec::new());
            let mut columns = 0;
            for gate in gates {
                let layer = if which == "ih" { &gate.input_transform } else { &gate.hidden_transform };
                let [inputs, outputs] = layer.weight.dims();
                columns = inputs;
                weights.extend(by_output(&floats(self.reader.read(&layer.weight)?)?, inputs, outputs));
                if let Some(bias) = &layer.bias {
                    biases.extend(floats(self.reader.read(bias)?)?);
                }
            }
            let rows = weights.len() / columns.max(1);
            self.put(format!("{name}.weight_{which}_l0"), weights, &[rows, columns])?;
            self.put(format!("{name}.bias_{which}_l0"), biases, &[rows])?;
        }
        Ok(())
    }
}

/// Return the values of a tensor of 32-bit floats.
pub fn array<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> Result<Array> {
    Array::shaped(floats(tensor.to_data())?, &tensor.dims())
}

/// Return the values of 32-bit floats.
fn floats(data: TensorData) -> Result<Vec<f32>> {
    data.into_vec().map_err(|error| Error::invalid(format!("a tensor of burn is not f32: {error:?}")))
}

/// Return `matrix` (inputs × outputs) transposed.
fn by_output(matrix: &[f32], inputs: usize, outputs: usize) -> Vec<f32> {
    (0..outputs).flat_map(|output| (0..inputs).map(move |input| matrix[input * outputs + output])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_flex::Flex;
    use burn_nn::gru::{Gru, GruConfig};

    /// Return weights of the given shapes with distinct values.
    fn counted(shapes: &[(&str, &[usize])]) -> Weights {
        let arrays = shapes.iter().enumerate().map(|(number, (name, shape))| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| (100 * number + i) as f32).collect();
            ((*name).to_owned(), Array::shaped(values, shape).unwrap())
        });
        Weights(arrays.collect())
    }

    fn assert_kept(weights: &Weights, collected: &Collector<Values>) {
        assert_eq!(weights.0, collected.arrays);
    }

    #[test]
    fn a_linear_layer_returns_the_weights_it_was_built_from() {
        let weights = counted(&[("fc.weight", &[3, 2]), ("fc.bias", &[3])]);
        let mut collected = Collector::new(&Values);
        collected.linear::<Flex>("fc", &weights.linear("fc").unwrap()).unwrap();
        assert_kept(&weights, &collected);
    }

    #[test]
    fn a_convolution_returns_its_weights_with_or_without_bias() {
        for bias in [true, false] {
            let shapes: [(&str, &[usize]); 2] = [("conv.weight", &[2, 1, 3, 3]), ("conv.bias", &[2])];
            let weights = counted(&shapes[..=usize::from(bias)]);
            let mut collected = Collector::new(&Values);
            collected.conv::<Flex>("conv", &weights.conv("conv", 1, 1).unwrap()).unwrap();
            assert_kept(&weights, &collected);
        }
    }

    #[test]
    fn gates_return_their_weights_in_the_given_order() {
        let weights = counted(&[
            ("rnn.weight_ih_l0", &[6, 3]),
            ("rnn.weight_hh_l0", &[6, 2]),
            ("rnn.bias_ih_l0", &[6]),
            ("rnn.bias_hh_l0", &[6]),
        ]);
        let mut gru: Gru<Flex> = GruConfig::new(3, 2, true).init(&burn_flex::FlexDevice);
        let gates = &mut [&mut gru.reset_gate, &mut gru.update_gate, &mut gru.new_gate];
        weights.fill_gates("rnn", gates).unwrap();
        let mut collected = Collector::new(&Values);
        collected.gates("rnn", &[&gru.reset_gate, &gru.update_gate, &gru.new_gate]).unwrap();
        assert_kept(&weights, &collected);
    }

    #[test]
    fn an_error_names_the_weight_that_does_not_fit() {
        let weights = counted(&[("fc.weight", &[3]), ("fc.bias", &[3])]);
        for name in ["fc", "other"] {
            assert!(weights.linear::<Flex>(name).unwrap_err().message.contains(name));
        }
    }
}
