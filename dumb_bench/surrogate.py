"""A surrogate: the attacker's networks behind one map from images to logits, in a mode that nobody can change."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dumb_bench.errors import InputError, unknown
from dumb_bench.generators import forked


def mean_logits(outputs: list[Tensor]) -> Tensor:
    """Return the mean of the members' logits, summed pairwise: K identical members, K a power of two, give one
    member's logits bit for bit.
    """
    count = len(outputs)
    while len(outputs) > 1:
        pairs = [left + right for left, right in zip(outputs[::2], outputs[1::2], strict=False)]
        outputs = pairs + outputs[len(pairs) * 2 :]
    return outputs[0] if count == 1 else outputs[0] / count


def mean_probs(outputs: list[Tensor]) -> Tensor:
    """Return the logarithm of the mean of the members' softmax probabilities: logits whose softmax is that mean."""
    if len(outputs) == 1:
        return outputs[0]
    exact = torch.stack([output.double().log_softmax(1) for output in outputs])
    return (exact.logsumexp(0) - math.log(len(outputs))).to(outputs[0].dtype)


AGGREGATIONS = ("mean_logits", "mean_probs", "cycle")
"""How the samples' outputs become one. `cycle`: each pass asks one sample, in turn (the light mode of Gubri et al.)."""


class Cost(NamedTuple):
    """Images passed forward and backward through a surrogate's networks; each network of an ensemble counts."""

    forwards: int
    backwards: int


GradientRunner = Callable[[Hashable, Callable[..., tuple[Tensor, ...]], Sequence[Tensor]], tuple[Tensor, ...]]
"""(name of a work, the work, its inputs) -> what the work returns for them."""


class LockedSurrogate(nn.Module):
    """A surrogate for one attack. Its train/eval mode is locked, its passes are counted.

    Args:
        networks: one a weight sample, each mapping (N, C, H, W) in [0, 1] to logits (N, K).
        num_classes: K.
        aggregation: how the samples' outputs become one, one of `AGGREGATIONS`.
        seed: of the order in which `cycle` asks the samples.

    repeatable: whether the same images always get the same answer, so that it need not be asked for twice: its networks
    draw no random numbers, and it is no `cycle`.
    gradient_batch: images of a pass where a gradient is taken of each image by itself; None for all at once. Smaller
    passes stay in the cache and hold less memory; for a repeatable one.
    gradient_graphs: what runs the passes of a gradient of a repeatable one; None for plain calls.
    """

    def __init__(
        self, networks: Sequence[nn.Module], num_classes: int, aggregation: str = "mean_logits", seed: int = 0
    ) -> None:
        super().__init__()
        if aggregation not in AGGREGATIONS:
            raise InputError(unknown("aggregation", aggregation, AGGREGATIONS))
        if not networks:
            raise InputError("a surrogate needs at least one network")
        self.members = nn.ModuleList(networks)
        self.num_classes = num_classes
        self.aggregation = aggregation
        self.repeatable = False
        self.gradient_batch: int | None = None
        self.gradient_graphs: GradientRunner | None = None
        self._order = torch.randperm(len(networks), generator=torch.Generator().manual_seed(seed)).tolist()
        self._turn = 0
        self._forwards = 0
        self._backwards = 0
        for module in self.modules():
            module.training = False
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> LockedSurrogate:
        """Do nothing: many attack libraries call `.eval()` or `.train()`, which would change a stochastic surrogate."""
        del mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to logits (N, K)."""
        members = list(self.members)
        if self.aggregation == "cycle":
            members = [members[self._order[self._turn % len(members)]]]
            self._turn += 1
        outputs = []
        for member in members:
            passes = int(getattr(member, "passes", 1))  # of a defence that asks its network several times
            self._forwards += passes * len(images)
            seen = images
            if images.requires_grad:
                seen = images.view_as(images)  # a node of this pass: gradients that start at a feature map count too
                seen.register_hook(partial(self._count_backward, passes))  # type: ignore[no-untyped-call]
            outputs.append(member(seen))
        return mean_probs(outputs) if self.aggregation == "mean_probs" else mean_logits(outputs)

    def memory_bytes(self, image: Tensor, batch: int) -> int:
        """Return what a gradient step on a batch holds: all weights, and what backward needs of the networks asked.

        image: (1, C, H, W). Counted: each network once, and the distinct tensors that autograd saves in a pass of those
        networks that a step asks: one for `cycle`, else all; measured for one image and two, and linear in the batch.
        Not counted: what an attack keeps itself, temporary memory. The global generators are left as they were.
        """
        members = list({id(member): member for member in self.members}.values())
        tensors = [tensor for member in members for tensor in member.state_dict().values()]
        own: dict[int, int] = {tensor.data_ptr(): tensor.nbytes for tensor in tensors}
        saved = []
        for member in members:
            one, two = (_saved_bytes(member, image.expand(images, -1, -1, -1), own) for images in (1, 2))
            saved.append(one + (batch - 1) * (two - one))
        times = len(self.members) // len(members)
        step: int = max(saved) if self.aggregation == "cycle" else times * sum(saved)
        return sum(own.values()) + step

    def restart(self) -> None:
        """Let `cycle` begin again: every call of an attack asks the samples in the same order."""
        self._turn = 0

    def count(self, cost: Cost) -> None:
        """Add passes that went through the networks without a call of this surrogate."""
        self._forwards += cost.forwards
        self._backwards += cost.backwards

    def _count_backward(self, passes: int, gradient: Tensor) -> Tensor:
        """Count; hand on the gradient as contiguous as the images, whatever the layout of a network's weights."""
        self._backwards += passes * len(gradient)
        return gradient.contiguous()

    @property
    def cost(self) -> Cost:
        """The passes so far."""
        return Cost(self._forwards, self._backwards)

    def snapshot(self) -> StateSnapshot:
        """Return a copy of all that an attack must leave alone."""
        return StateSnapshot(self)


def _saved_bytes(network: nn.Module, images: Tensor, own: Mapping[int, int]) -> int:
    """Return the bytes of the distinct tensors that autograd saves in a pass, without the network's own."""
    held: dict[int, int] = {}
    kept: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor.detach())  # as long as it is held, no other tensor can have its address
        return tensor.detach()

    with forked(images.device), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(images.detach().clone().requires_grad_(True))
    return sum(held.values())


class StateSnapshot:
    """Parameters, buffers, gradients' flags and modes of a module, to be compared and put back after an attack."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.tensors = {name: tensor.detach().clone() for name, tensor in module.state_dict(keep_vars=True).items()}
        self.flags = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
        self.modes = {name: child.training for name, child in module.named_modules()}

    def restore(self) -> str | None:
        """Put everything back; return what had changed, None when nothing had."""
        changed: list[str] = []
        current = self.module.state_dict(keep_vars=True)
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                if name in current and not torch.equal(current[name].detach(), tensor):
                    changed.append(f"weights or buffer {name!r}")
                    current[name].copy_(tensor)
        for name, parameter in self.module.named_parameters():
            if parameter.requires_grad != self.flags.get(name):
                changed.append(f"requires_grad of {name!r}")
                parameter.requires_grad_(self.flags.get(name, False))
            if parameter.grad is not None:
                changed.append(f"grad of {name!r}")
                parameter.grad = None
        for name, child in self.module.named_modules():
            if child.training != self.modes.get(name):
                changed.append(f"train/eval mode of {name!r}")
                child.training = self.modes.get(name, False)
        return changed[0] + (f" and {len(changed) - 1} more" if len(changed) > 1 else "") if changed else None
