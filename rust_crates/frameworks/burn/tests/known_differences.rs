//! Defects of burn that make a case unsound, each with the smallest input that shows it.
//!
//! A test fails once burn fixes the defect; then remove its rule in `task.toml`.

use burn_autodiff::Autodiff;
use burn_core::tensor::Tensor;
use burn_flex::{Flex, FlexDevice};
use burn_nn::{BatchNorm, BatchNormConfig};

/// The values 0 and 2 have the unbiased variance 2, which PyTorch's batch norm stores, and the biased variance 1, which burn's
/// stores.
#[test]
fn batch_norm_keeps_the_biased_variance() {
    let layer: BatchNorm<Autodiff<Flex>> = BatchNormConfig::new(1).with_momentum(1.0).init(&FlexDevice);
    let _ = layer.forward(Tensor::<_, 2>::from_data([[0.0_f32], [2.0]], &FlexDevice));
    let kept: f32 = layer.running_var.value_sync().into_scalar();
    assert_eq!(1.0, kept, "PyTorch stores 2");
}
