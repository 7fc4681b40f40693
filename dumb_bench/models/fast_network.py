"""A network rebuilt for speed: batch normalisation folded into convolutions, channels last, ReLUs in place.

The same function but for the rounding of float32. What may be folded or overwritten is read off one pass of an image:
the autograd graph tells who else uses a tensor.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from dumb_bench.generators import forked, reseed
from dumb_bench.models.arithmetic import arithmetic

LOGITS, GRADIENT = 1e-4, 0.3
"""How far logits (relative to the largest) and gradient (in L2) may be from the network's own on the images tried.

A ReLU at 0, or a tie of a maximum, lets a gradient through in one network and not in the other.
"""

_Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
_Normalising = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def fast_network(network: nn.Module, image_shape: tuple[int, int, int]) -> nn.Module:
    """Return a copy of a network, in eval mode, that gives the same logits but for rounding, sooner.

    Weights that stay as they are (linear layers) are shared with the network, not copied. Modules keep their names and
    classes; a folded batch normalisation becomes `nn.Identity`. The network itself, and the global random generators,
    are left alone. A network with which the rebuilt one does not agree on two images of noise is returned as it is.

    image_shape: (C, H, W) of what the network takes, in [0, 1].
    """
    changed = [layer for layer in network.modules() if isinstance(layer, _Convolution | _Normalising)]
    moved = {id(tensor) for layer in changed for tensor in (*layer.parameters(), *layer.buffers())}
    moved |= {id(weight) for weight in network.parameters() if weight.ndim == 4}
    kept = [tensor for tensor in (*network.parameters(), *network.buffers()) if id(tensor) not in moved]
    found = copy.deepcopy(network, {id(tensor): tensor for tensor in kept}).eval()
    device = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    image = torch.rand(2, *image_shape, generator=torch.Generator().manual_seed(0)).to(device)
    with forked(device), arithmetic(device, tf32=False):
        calls, used = _traced(found, image)
        for call in calls:
            if isinstance(call.module, nn.ReLU) and used[call.source] == 1 and not call.view:
                call.module.inplace = True
        for convolution, normalising in _foldable(found, calls, used):
            _fold(found, convolution, normalising)
        found.requires_grad_(False).to(memory_format=torch.channels_last)
        return found if _agree(network, found, image) else network


class _Call(NamedTuple):
    """A call of a module. source, version: the node that made its input, and how often that had been overwritten."""

    module: nn.Module
    source: Any
    version: int
    view: bool
    node: Any
    made: int


def _traced(network: nn.Module, image: Tensor) -> tuple[list[_Call], Counter[Any]]:
    """Pass an image; return the calls of what matters here in their order, and how often each node is used."""
    watched = [item for item in network.modules() if isinstance(item, _Convolution | _Normalising | nn.ReLU)]
    calls: list[_Call] = []
    entered: list[tuple[Any, int, bool]] = []

    def enters(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        del module
        entered.append((inputs[0].grad_fn, inputs[0]._version, inputs[0]._is_view()))

    def leaves(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del inputs
        calls.append(_Call(module, *entered.pop(), output.grad_fn, output._version))

    handles = [item.register_forward_pre_hook(enters) for item in watched]
    handles += [item.register_forward_hook(leaves) for item in watched]
    try:
        with torch.enable_grad():
            logits = network(image.clone().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
    used: Counter[Any] = Counter()
    waiting, seen = [logits.grad_fn], {logits.grad_fn}
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is not None:
                used[node] += 1
                if node not in seen:
                    seen.add(node)
                    waiting.append(node)
    return calls, used


def _foldable(network: nn.Module, calls: list[_Call], used: Counter[Any]) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield (convolution, normalisation) where the first's output goes, as it is, to the second and nowhere else."""
    times = Counter(id(call.module) for call in calls)
    holders = Counter(id(weight) for layer in network.modules() for weight in layer._parameters.values())
    made = {call.node: call for call in calls if isinstance(call.module, _Convolution)}
    for call in calls:
        before = made.get(call.source)
        if before is None or not isinstance(call.module, _Normalising) or call.module.running_mean is None:
            continue
        once = times[id(call.module)] == times[id(before.module)] == 1 and used[call.source] == 1
        if once and before.made == call.version and holders[id(before.module.weight)] == 1:
            yield before.module, call.module


def _fold(network: nn.Module, convolution: nn.Module, normalising: nn.Module) -> None:
    """Fold a normalisation in eval mode into the convolution before it; put the identity in its place."""
    assert isinstance(convolution, _Convolution) and isinstance(normalising, _Normalising)
    assert normalising.running_mean is not None and normalising.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, normalising.running_mean, normalising.running_var, normalising.eps,
        normalising.weight, normalising.bias,
    )  # fmt: skip
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child is normalising:
                setattr(parent, name, nn.Identity().eval())


def _agree(network: nn.Module, found: nn.Module, image: Tensor) -> bool:
    """Whether two networks give the same logits and gradients, but for rounding; random ones are asked once each."""
    try:
        answers = [_asked(network, image), _asked(found, image)]
    except (RuntimeError, AttributeError):  # overwritten what the way back needs, or looks into what was folded
        return False
    (logits, slope), (logits_found, slope_found) = answers
    near = (logits - logits_found).abs().max() <= LOGITS * logits.abs().max()
    return bool(near and (slope - slope_found).norm() <= GRADIENT * slope.norm())


def _asked(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """Return a network's logits for an image, and the gradient of their sum; the same draws at each call."""
    reseed(0, image.device)
    point = image.clone().requires_grad_(True)
    with torch.enable_grad():
        logits = network(point)
        (slope,) = torch.autograd.grad(logits.sum(), point)
    return logits.detach(), slope
