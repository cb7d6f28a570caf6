//! Convolutional networks on libtorch; `networks` trains and runs them.

use duet_worker::{Registry, Result};
use tch::Tensor;
use tch::nn::{self, ConvConfig, LinearConfig, Module as _, ModuleT as _};

use crate::networks::{self, Forward};
use crate::tensors::Weights;

/// Register every network.
pub fn register(registry: &mut Registry) {
    networks::register(registry, "cnn", "lenet", lenet);
    networks::register(registry, "cnn", "simple_cnn", simple_cnn);
    networks::register(registry, "cnn", "resnet18", resnet18);
}

fn convolution(padding: i64) -> ConvConfig {
    ConvConfig { padding, ..ConvConfig::default() }
}

/// LeNet-5 for images of 28×28 and ten classes, with ReLU and max pooling.
#[expect(clippy::unnecessary_wraps, reason = "every network has a function of this signature")]
fn lenet(root: &nn::Path, _: &Weights, _: bool) -> Result<Forward> {
    let conv1 = nn::conv2d(root / "conv1", 1, 6, 5, convolution(2));
    let conv2 = nn::conv2d(root / "conv2", 6, 16, 5, convolution(0));
    let fc1 = nn::linear(root / "fc1", 400, 120, LinearConfig::default());
    let fc2 = nn::linear(root / "fc2", 120, 84, LinearConfig::default());
    let fc3 = nn::linear(root / "fc3", 84, 10, LinearConfig::default());
    Ok(Box::new(move |images| {
        let x = conv1.forward(images).relu().max_pool2d_default(2);
        let x = conv2.forward(&x).relu().max_pool2d_default(2).flatten(1, -1);
        let x = fc1.forward(&x).relu();
        let x = fc2.forward(&x).relu();
        fc3.forward(&x)
    }))
}

/// Two convolutions of 3×3 with 32 and 64 channels, each pooled, and a hidden layer of 128: the network of many tutorials.
#[expect(clippy::unnecessary_wraps, reason = "every network has a function of this signature")]
fn simple_cnn(root: &nn::Path, _: &Weights, _: bool) -> Result<Forward> {
    let conv1 = nn::conv2d(root / "conv1", 1, 32, 3, convolution(1));
    let conv2 = nn::conv2d(root / "conv2", 32, 64, 3, convolution(1));
    let fc1 = nn::linear(root / "fc1", 3136, 128, LinearConfig::default());
    let fc2 = nn::linear(root / "fc2", 128, 10, LinearConfig::default());
    Ok(Box::new(move |images| {
        let x = conv1.forward(images).relu().max_pool2d_default(2);
        let x = conv2.forward(&x).relu().max_pool2d_default(2).flatten(1, -1);
        fc2.forward(&fc1.forward(&x).relu())
    }))
}

/// A convolution without bias and a batch norm.
fn normalised(
    root: &nn::Path,
    (conv, norm): (&str, &str),
    (inputs, outputs): (i64, i64),
    (kernel, stride): (i64, i64),
    train: bool,
) -> impl Fn(&Tensor) -> Tensor + use<> {
    let config = ConvConfig { stride, bias: false, ..convolution(kernel / 2) };
    let conv = nn::conv2d(root / conv, inputs, outputs, kernel, config);
    let norm = nn::batch_norm2d(root / norm, outputs, nn::BatchNormConfig::default());
    move |x| norm.forward_t(&conv.forward(x), train)
}

/// Two convolutions of 3×3 with a skip connection (He et al. 2015), by a convolution of 1×1 if the shape changes.
fn block(root: &nn::Path, inputs: i64, outputs: i64, train: bool) -> Forward {
    let stride = if inputs == outputs { 1 } else { 2 };
    let first = normalised(root, ("conv1", "bn1"), (inputs, outputs), (3, stride), train);
    let second = normalised(root, ("conv2", "bn2"), (outputs, outputs), (3, 1), train);
    let skip = (stride != 1)
        .then(|| normalised(&(root / "downsample"), ("0", "1"), (inputs, outputs), (1, stride), train));
    Box::new(move |x| {
        let y = second(&first(x).relu());
        match &skip {
            Some(skip) => (y + skip(x)).relu(),
            None => (y + x).relu(),
        }
    })
}

/// ResNet-18 for small images: a stem of 3×3 without pooling instead of 7×7, with the names of torchvision.
#[expect(clippy::unnecessary_wraps, reason = "every network has a function of this signature")]
fn resnet18(root: &nn::Path, _: &Weights, train: bool) -> Result<Forward> {
    let stem = normalised(root, ("conv1", "bn1"), (1, 64), (3, 1), train);
    let stages = [("layer1", 64, 64), ("layer2", 64, 128), ("layer3", 128, 256), ("layer4", 256, 512)];
    let blocks: Vec<Forward> = stages
        .into_iter()
        .flat_map(|(name, inputs, outputs)| {
            let stage = root / name;
            [block(&(&stage / "0"), inputs, outputs, train), block(&(&stage / "1"), outputs, outputs, train)]
        })
        .collect();
    let fc = nn::linear(root / "fc", 512, 10, LinearConfig::default());
    Ok(Box::new(move |images| {
        let x = blocks.iter().fold(stem(images).relu(), |x, block| block(&x));
        fc.forward(&x.adaptive_avg_pool2d([1, 1]).flatten(1, -1))
    }))
}
