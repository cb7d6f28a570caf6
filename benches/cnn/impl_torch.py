"""The convolutional networks in PyTorch, as in its tutorials; ``networks`` trains and runs them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ..networks import Build, implementations


class LeNet(nn.Module):
    """LeNet-5 for images of 28×28 and ten classes, with ReLU and max pooling."""

    def __init__(self) -> None:
        """Build the layers; the job's weights replace their initial ones."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (images × 10)."""
        x = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2).flatten(1)
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        logits: torch.Tensor = self.fc3(x)
        return logits


class SimpleCnn(nn.Module):
    """Two convolutions of 3×3 with 32 and 64 channels, each pooled, and a hidden layer of 128: the network of many tutorials."""

    def __init__(self) -> None:
        """Build the layers; the job's weights replace their initial ones."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc1 = nn.Linear(3136, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (images × 10)."""
        x = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2).flatten(1)
        logits: torch.Tensor = self.fc2(functional.relu(self.fc1(x)))
        return logits


class Block(nn.Module):
    """Two convolutions of 3×3, each with a batch norm, and a skip connection (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Build the layers, with a convolution of 1×1 in the skip connection if the shape changes."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the next images (count × outputs × side × side)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet18(nn.Module):
    """ResNet-18 for small images: a stem of 3×3 without pooling instead of 7×7, with the names of torchvision."""

    def __init__(self) -> None:
        """Build the layers; the job's weights replace their initial ones."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.fc = nn.Linear(512, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (images × 10)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: torch.Tensor = self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def _of(network: type[nn.Module]) -> Build:
    return lambda weights: network()  # noqa: ARG005 - these have one size


IMPLEMENTATIONS = implementations({"lenet": _of(LeNet), "simple_cnn": _of(SimpleCnn), "resnet18": _of(ResNet18)})
