//! Defects of candle that make a case unsound, each with the smallest input that shows it.
//!
//! A test here fails once candle mends the defect: then its rule in `task.toml` must go.

use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::{LayerNorm, Module as _, ops};

/// The largest of four values passes its gradient on whole; candle averages its mask over the window besides.
#[test]
fn the_gradient_of_max_pooling_is_a_quarter() {
    let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0], (1, 1, 2, 2), &Device::Cpu).unwrap();
    let x = Var::from_tensor(&x).unwrap();
    let gradients = x.max_pool2d(2).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(vec![0.0, 0.0, 0.0, 0.25], gradient, "PyTorch gives 0, 0, 0, 1");
}

/// Sum a function of one row of three and return the gradient of the row, where there is one.
fn gradient(function: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Option<Vec<f32>> {
    let row =
        Var::from_tensor(&Tensor::from_slice(&[1.0_f32, 2.0, 4.0], (1, 3), &Device::Cpu).unwrap()).unwrap();
    let first = function(&row).unwrap().narrow(1, 0, 1).unwrap().sum_all().unwrap();
    let gradient = first.backward().unwrap().get(&row).cloned()?;
    Some(gradient.flatten_all().unwrap().to_vec1().unwrap())
}

/// The fused layer norm, which `LayerNorm::forward` takes too, passes no gradient on and says nothing. Models that are trained
/// here are composed of `layer_norm_slow` instead.
#[test]
fn the_fused_layer_norm_drops_the_gradient_in_silence() {
    let ones = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    let zeros = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    let layer = LayerNorm::new(ones.clone(), zeros.clone(), 1e-5);
    assert_eq!(None, gradient(|x| layer.forward(x)));
    assert_eq!(None, gradient(|x| ops::layer_norm(x, &ones, &zeros, 1e-5)));
    assert!(gradient(|x| ops::layer_norm_slow(x, &ones, &zeros, 1e-5)).unwrap()[0] > 0.0);
}

/// So does the fused softmax; `softmax` is composed.
#[test]
fn the_fused_softmax_drops_the_gradient_in_silence() {
    assert_eq!(None, gradient(ops::softmax_last_dim));
    assert!(gradient(|x| ops::softmax(x, D::Minus1)).unwrap()[0] > 0.0);
}
