//! Defects of candle that make a case unsound, each with the smallest input that shows it.
//!
//! A test here fails once candle mends the defect: then its rule in `task.toml` must go.

use candle_core::{Device, Tensor, Var};

/// The largest of four values passes its gradient on whole; candle averages its mask over the window besides.
#[test]
fn the_gradient_of_max_pooling_is_a_quarter() {
    let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0], (1, 1, 2, 2), &Device::Cpu).unwrap();
    let x = Var::from_tensor(&x).unwrap();
    let gradients = x.max_pool2d(2).unwrap().sum_all().unwrap().backward().unwrap();
    let gradient = gradients.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(vec![0.0, 0.0, 0.0, 0.25], gradient, "PyTorch gives 0, 0, 0, 1");
}
