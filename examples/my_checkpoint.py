"""Trains a network in plain PyTorch and saves its weights: stands for what you have already."""

import sys

import torch
from my_network import plain
from safetensors.torch import save_file
from torch import nn

from dumb_bench.data.optdigits import optdigits

split = optdigits("digits", "train")
images = (torch.tensor(split.images).float() / 255 - 0.5) / 0.25
labels = torch.tensor(split.labels)

torch.manual_seed(0)
network = plain(classes=2)
optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
for _ in range(3):
    for part in torch.randperm(len(labels)).split(32):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images[part]), labels[part]).backward()
        optimiser.step()

save_file(network.state_dict(), sys.argv[1])
