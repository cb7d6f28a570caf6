//! Convolutional networks on burn; `networks` trains and runs them.

// burn's macros refer to the facade crate, which cannot be built beside tch.
use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::Tensor;
use burn_core::tensor::activation::relu;
use burn_core::tensor::backend::Backend;
use burn_flex::Flex;
use burn_nn::conv::Conv2d;
use burn_nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn_nn::{BatchNorm, Linear};
use duet_worker::{Error, Registry, Result};

use crate::layers::{Collector, Read, Weights};
use crate::networks::{self, Learning, Network};

/// Register every network; ResNet-18 only predicts, because burn's batch norm stores another variance.
pub fn register(registry: &mut Registry) {
    networks::register_train::<LeNet<Learning>, 4>(registry, "cnn", "lenet");
    networks::register_train::<SimpleCnn<Learning>, 4>(registry, "cnn", "simple_cnn");
    networks::register_predict::<LeNet<Flex>, 4>(registry, "cnn", "lenet");
    networks::register_predict::<SimpleCnn<Flex>, 4>(registry, "cnn", "simple_cnn");
    networks::register_predict::<ResNet18<Flex>, 4>(registry, "cnn", "resnet18");
}

fn halving() -> MaxPool2d {
    MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init()
}

/// LeNet-5 for images of 28×28 and ten classes, with ReLU and max pooling.
#[derive(Module, Debug)]
struct LeNet<B: Backend> {
    conv1: Conv2d<B>,
    conv2: Conv2d<B>,
    pool: MaxPool2d,
    fc1: Linear<B>,
    fc2: Linear<B>,
    fc3: Linear<B>,
}

impl<B: Backend> Network<B, 4> for LeNet<B> {
    fn load(weights: &Weights) -> Result<Self> {
        Ok(Self {
            conv1: weights.conv("conv1", 1, 2)?,
            conv2: weights.conv("conv2", 1, 0)?,
            pool: halving(),
            fc1: weights.linear("fc1")?,
            fc2: weights.linear("fc2")?,
            fc3: weights.linear("fc3")?,
        })
    }

    fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let x = self.pool.forward(relu(self.conv1.forward(images)));
        let x = self.pool.forward(relu(self.conv2.forward(x))).flatten(1, 3);
        let x = relu(self.fc1.forward(x));
        let x = relu(self.fc2.forward(x));
        self.fc3.forward(x)
    }

    fn read<R: Read<B>>(&self, into: &mut Collector<R>) -> Result<()> {
        into.conv("conv1", &self.conv1)?;
        into.conv("conv2", &self.conv2)?;
        into.linear("fc1", &self.fc1)?;
        into.linear("fc2", &self.fc2)?;
        into.linear("fc3", &self.fc3)
    }
}

/// Two convolutions of 3×3 with 32 and 64 channels, each pooled, and a hidden layer of 128: the network of many tutorials.
#[derive(Module, Debug)]
struct SimpleCnn<B: Backend> {
    conv1: Conv2d<B>,
    conv2: Conv2d<B>,
    pool: MaxPool2d,
    fc1: Linear<B>,
    fc2: Linear<B>,
}

impl<B: Backend> Network<B, 4> for SimpleCnn<B> {
    fn load(weights: &Weights) -> Result<Self> {
        Ok(Self {
            conv1: weights.conv("conv1", 1, 1)?,
            conv2: weights.conv("conv2", 1, 1)?,
            pool: halving(),
            fc1: weights.linear("fc1")?,
            fc2: weights.linear("fc2")?,
        })
    }

    fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let x = self.pool.forward(relu(self.conv1.forward(images)));
        let x = self.pool.forward(relu(self.conv2.forward(x))).flatten(1, 3);
        self.fc2.forward(relu(self.fc1.forward(x)))
    }

    fn read<R: Read<B>>(&self, into: &mut Collector<R>) -> Result<()> {
        into.conv("conv1", &self.conv1)?;
        into.conv("conv2", &self.conv2)?;
        into.linear("fc1", &self.fc1)?;
        into.linear("fc2", &self.fc2)
    }
}

/// A convolution without bias and a batch norm.
#[derive(Module, Debug)]
struct Normalised<B: Backend> {
    conv: Conv2d<B>,
    norm: BatchNorm<B>,
}

impl<B: Backend> Normalised<B> {
    fn load(weights: &Weights, (conv, norm): (&str, &str), stride: usize, padding: usize) -> Result<Self> {
        Ok(Self { conv: weights.conv(conv, stride, padding)?, norm: weights.norm(norm)? })
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        self.norm.forward(self.conv.forward(x))
    }
}

/// Two convolutions of 3×3 with a skip connection (He et al. 2015), by a convolution of 1×1 if the shape changes.
#[derive(Module, Debug)]
struct Block<B: Backend> {
    first: Normalised<B>,
    second: Normalised<B>,
    skip: Option<Normalised<B>>,
}

impl<B: Backend> Block<B> {
    fn load(weights: &Weights, at: &str) -> Result<Self> {
        let skip = weights.get(&format!("{at}.downsample.0.weight")).is_ok();
        let stride = if skip { 2 } else { 1 };
        let layer = |conv: &str, norm: &str, stride, padding| {
            Normalised::load(weights, (&format!("{at}.{conv}"), &format!("{at}.{norm}")), stride, padding)
        };
        Ok(Self {
            first: layer("conv1", "bn1", stride, 1)?,
            second: layer("conv2", "bn2", 1, 1)?,
            skip: skip.then(|| layer("downsample.0", "downsample.1", stride, 0)).transpose()?,
        })
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let y = self.second.forward(relu(self.first.forward(x.clone())));
        let carried = match &self.skip {
            Some(skip) => skip.forward(x),
            None => x,
        };
        relu(y + carried)
    }
}

/// ResNet-18 for small images: a stem of 3×3 without pooling instead of 7×7, with the names of torchvision.
#[derive(Module, Debug)]
struct ResNet18<B: Backend> {
    stem: Normalised<B>,
    blocks: Vec<Block<B>>,
    fc: Linear<B>,
}

impl<B: Backend> Network<B, 4> for ResNet18<B> {
    fn load(weights: &Weights) -> Result<Self> {
        let names = (1..=4).flat_map(|stage| (0..2).map(move |block| format!("layer{stage}.{block}")));
        Ok(Self {
            stem: Normalised::load(weights, ("conv1", "bn1"), 1, 1)?,
            blocks: names.map(|at| Block::load(weights, &at)).collect::<Result<_>>()?,
            fc: weights.linear("fc")?,
        })
    }

    fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let x = self.blocks.iter().fold(relu(self.stem.forward(images)), |x, block| block.forward(x));
        let [count, channels, height, width] = x.dims();
        self.fc.forward(x.reshape([count, channels, height * width]).mean_dim(2).reshape([count, channels]))
    }

    fn read<R: Read<B>>(&self, _: &mut Collector<R>) -> Result<()> {
        Err(Error::unsupported("resnet18 is not trained with burn: its batch norm stores another variance"))
    }
}
