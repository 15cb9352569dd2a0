"""The network that all three train: the same weights, read the same way. Its lines are counted for none of them."""

import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

FEATURES = 1280


def trunk(weights: str) -> nn.Module:
    """Images (B, 3, H, W), colors in [-1, 1], to features (B, 1280)."""
    net = torchvision.models.mobilenet_v2(width_mult=0.35)
    net.classifier = nn.Identity()
    known = {name: value.float() for name, value in load_file(weights).items() if not name.startswith("classifier.")}
    net.load_state_dict(known)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 1e-3  # as in their training
    return net.to(memory_format=torch.channels_last)
