//! Convolutional networks on candle; `networks` trains and runs them.

use candle_core::Tensor;
use candle_nn::{BatchNormConfig, Conv2dConfig, Module as _, ModuleT as _, VarBuilder};
use candle_nn::{batch_norm, conv2d, conv2d_no_bias, linear};
use duet_worker::{Registry, Result};

use crate::networks::{self, Forward};
use crate::tensors::Weights;

/// Register every network; those with max pooling only predict, because candle's gradient of it is wrong.
pub fn register(registry: &mut Registry) {
    networks::register_predict(registry, "cnn", "lenet", lenet);
    networks::register_predict(registry, "cnn", "simple_cnn", simple_cnn);
    networks::register_predict(registry, "cnn", "resnet18", resnet18);
    networks::register_train(registry, "cnn", "resnet18", resnet18);
}

fn convolution(padding: usize) -> Conv2dConfig {
    Conv2dConfig { padding, ..Conv2dConfig::default() }
}

/// LeNet-5 for images of 28×28 and ten classes, with ReLU and max pooling.
#[expect(clippy::needless_pass_by_value, reason = "candle's own layers take a builder by value")]
fn lenet(vb: VarBuilder, _: &Weights, _: bool) -> Result<Forward> {
    let conv1 = conv2d(1, 6, 5, convolution(2), vb.pp("conv1"))?;
    let conv2 = conv2d(6, 16, 5, convolution(0), vb.pp("conv2"))?;
    let fc1 = linear(400, 120, vb.pp("fc1"))?;
    let fc2 = linear(120, 84, vb.pp("fc2"))?;
    let fc3 = linear(84, 10, vb.pp("fc3"))?;
    Ok(Box::new(move |images| {
        let x = conv1.forward(images)?.relu()?.max_pool2d(2)?;
        let x = conv2.forward(&x)?.relu()?.max_pool2d(2)?.flatten_from(1)?;
        let x = fc1.forward(&x)?.relu()?;
        let x = fc2.forward(&x)?.relu()?;
        fc3.forward(&x)
    }))
}

/// Two convolutions of 3×3 with 32 and 64 channels, each pooled, and a hidden layer of 128: the network of many tutorials.
#[expect(clippy::needless_pass_by_value, reason = "candle's own layers take a builder by value")]
fn simple_cnn(vb: VarBuilder, _: &Weights, _: bool) -> Result<Forward> {
    let conv1 = conv2d(1, 32, 3, convolution(1), vb.pp("conv1"))?;
    let conv2 = conv2d(32, 64, 3, convolution(1), vb.pp("conv2"))?;
    let fc1 = linear(3136, 128, vb.pp("fc1"))?;
    let fc2 = linear(128, 10, vb.pp("fc2"))?;
    Ok(Box::new(move |images| {
        let x = conv1.forward(images)?.relu()?.max_pool2d(2)?;
        let x = conv2.forward(&x)?.relu()?.max_pool2d(2)?.flatten_from(1)?;
        fc2.forward(&fc1.forward(&x)?.relu()?)
    }))
}

/// A convolution without bias and a batch norm.
fn normalised(
    vb: &VarBuilder,
    (conv, norm): (&str, &str),
    (inputs, outputs): (usize, usize),
    (kernel, stride): (usize, usize),
    train: bool,
) -> Result<Forward> {
    let config = Conv2dConfig { stride, ..convolution(kernel / 2) };
    let conv = conv2d_no_bias(inputs, outputs, kernel, config, vb.pp(conv))?;
    let norm = batch_norm(outputs, BatchNormConfig::default(), vb.pp(norm))?;
    Ok(Box::new(move |x| norm.forward_t(&conv.forward(x)?, train)))
}

/// Two convolutions of 3×3 with a skip connection (He et al. 2015), by a convolution of 1×1 if the shape changes.
fn block(vb: &VarBuilder, inputs: usize, outputs: usize, train: bool) -> Result<Forward> {
    let stride = if inputs == outputs { 1 } else { 2 };
    let first = normalised(vb, ("conv1", "bn1"), (inputs, outputs), (3, stride), train)?;
    let second = normalised(vb, ("conv2", "bn2"), (outputs, outputs), (3, 1), train)?;
    let skip = if stride == 1 {
        None
    } else {
        Some(normalised(&vb.pp("downsample"), ("0", "1"), (inputs, outputs), (1, stride), train)?)
    };
    Ok(Box::new(move |x| {
        let y = second(&first(x)?.relu()?)?;
        match &skip {
            Some(skip) => (y + skip(x)?)?.relu(),
            None => (y + x)?.relu(),
        }
    }))
}

/// ResNet-18 for small images: a stem of 3×3 without pooling instead of 7×7, with the names of torchvision.
#[expect(clippy::needless_pass_by_value, reason = "candle's own layers take a builder by value")]
fn resnet18(vb: VarBuilder, _: &Weights, train: bool) -> Result<Forward> {
    let stem = normalised(&vb, ("conv1", "bn1"), (1, 64), (3, 1), train)?;
    let mut blocks = Vec::new();
    for (stage, inputs, outputs) in
        [("layer1", 64, 64), ("layer2", 64, 128), ("layer3", 128, 256), ("layer4", 256, 512)]
    {
        let stage = vb.pp(stage);
        blocks.push(block(&stage.pp("0"), inputs, outputs, train)?);
        blocks.push(block(&stage.pp("1"), outputs, outputs, train)?);
    }
    let fc = linear(512, 10, vb.pp("fc"))?;
    Ok(Box::new(move |images| {
        let x = blocks.iter().try_fold(stem(images)?.relu()?, |x: Tensor, block| block(&x))?;
        fc.forward(&x.mean((2, 3))?)
    }))
}
