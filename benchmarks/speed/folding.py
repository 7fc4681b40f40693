"""A network made fast for inference and input gradients: batch normalisation folded, channels last."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dumb_bench.architectures.base import Preprocessed


def folded(network: nn.Module) -> nn.Module:
    """Return a copy of an eval-mode network with every convolution and its batch normalisation made one."""
    whole = copy.deepcopy(network)
    if isinstance(whole, Preprocessed):  # what it asks of an image's shape cannot be traced
        whole.network = _traced(whole.network)
        return ChannelsLast(whole).eval().requires_grad_(False)
    return ChannelsLast(_traced(whole)).eval().requires_grad_(False)


def _traced(whole: nn.Module) -> nn.Module:
    traced = fx.GraphModule(whole, _Tracer().trace(whole))
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) > 1 or not isinstance(modules[before.target], nn.Conv2d):
            continue
        parent, _, name = before.target.rpartition(".")
        setattr(traced.get_submodule(parent), name, fuse_conv_bn_eval(modules[before.target], modules[node.target]))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced


class _Tracer(fx.Tracer):
    """Looks into no layer: what has no modules of its own stays one step, whatever Python its forward holds."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not list(module.children()) or super().is_leaf_module(module, name)


class ChannelsLast(nn.Module):
    """A network whose weights and images lie channels last in memory."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        logits: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return logits
