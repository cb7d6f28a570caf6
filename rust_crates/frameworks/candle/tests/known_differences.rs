//! Defects of candle that make a case unsound, each with the smallest input that shows it.
//!
//! A test fails once candle fixes the defect; then remove its rule in `task.toml`.

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{LayerNorm, Module as _, ops};

/// The largest of four values must receive the whole gradient; candle divides it by the size of the window.
#[test]
fn the_gradient_of_max_pooling_is_a_quarter() {
    let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0], (1, 1, 2, 2), &Device::Cpu).unwrap();
    let x = Var::from_tensor(&x).unwrap();
    let gradients = x.max_pool2d(2).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(vec![0.0, 0.0, 0.0, 0.25], gradient, "PyTorch gives 0, 0, 0, 1");
}

/// Return the gradient of a row of three through `function`, if there is one.
fn gradient(function: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Option<Vec<f32>> {
    let row =
        Var::from_tensor(&Tensor::from_slice(&[1.0_f32, 2.0, 4.0], (1, 3), &Device::Cpu).unwrap()).unwrap();
    let first = function(&row).unwrap().narrow(1, 0, 1).unwrap().sum_all().unwrap();
    let gradient = first.backward().unwrap().get(&row).cloned()?;
    Some(gradient.flatten_all().unwrap().to_vec1().unwrap())
}

/// The fused layer norm, which `LayerNorm::forward` uses too, drops the gradient without an error. Models that are trained here
/// use `layer_norm_slow` instead.
#[test]
fn the_fused_layer_norm_drops_the_gradient_in_silence() {
    let ones = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    let zeros = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    let layer = LayerNorm::new(ones.clone(), zeros.clone(), 1e-5);
    assert_eq!(None, gradient(|x| layer.forward(x)));
    assert_eq!(None, gradient(|x| ops::layer_norm(x, &ones, &zeros, 1e-5)));
    assert!(gradient(|x| ops::layer_norm_slow(x, &ones, &zeros, 1e-5)).unwrap()[0] > 0.0);
}

/// The fused softmax drops the gradient too; the composed `softmax` does not.
#[test]
fn the_fused_softmax_drops_the_gradient_in_silence() {
    assert_eq!(None, gradient(ops::softmax_last_dim));
    assert!(gradient(|x| ops::softmax(x, D::Minus1)).unwrap()[0] > 0.0);
}
