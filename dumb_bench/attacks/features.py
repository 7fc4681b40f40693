"""Feature maps of any network, read by hooks, and what a feature attack ascends.

A layer is a call of a module whose output is a feature map (N, C, H, W) with more than one position: an activation, or
a residual block as a whole. Layers are ordered as they are computed; a relative depth in [0, 1] picks one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dumb_bench.architectures.base import is_residual
from dumb_bench.attacks.base import Surrogate
from dumb_bench.attacks.gradients import Objective, View
from dumb_bench.errors import InputError
from dumb_bench.generators import forked

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Softplus, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softsign, nn.Hardswish, nn.Hardtanh, nn.Hardsigmoid,
)  # fmt: skip
"""The modules that count as activations, and so do their subclasses."""

Depth = Annotated[float, Field(ge=0, le=1)]
"""A relative depth: layer `round(depth * (n - 1))` of n, 0 the first, 1 the last."""

Maps = Mapping[int, tuple[Tensor, ...]]
"""Member of the surrogate -> its feature maps (N, C, H, W), one a layer; only members that took part in the pass."""

_Kept = TypeVar("_Kept")

NO_LAYER = "no activation or residual block gives a feature map (N, C, H, W)"


class Looked(NamedTuple):
    """A pass through the surrogate: its logits (N, K), and the feature maps on the way."""

    logits: Tensor
    maps: Maps


def candidates(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the outermost activations and residual blocks, each once, under the names that `named_modules` gives."""
    seen: set[int] = set()

    def below(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
        if id(module) in seen:
            return
        seen.add(id(module))
        if is_residual(module) or isinstance(module, ACTIVATIONS):
            yield name, module
            return
        for child, part in module.named_children():
            yield from below(part, f"{name}.{child}" if name else child)

    return below(network, "")


class _Hooks:
    """Hooks on some networks, while entered, that note the output of every layer of every call."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self._networks = networks
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._calls: list[tuple[int, list[tuple[str, Tensor]]]] = []

    def __enter__(self) -> _Hooks:
        places: dict[int, list[int]] = {}
        for place, network in enumerate(self._networks):
            places.setdefault(id(network), []).append(place)
        hooked: set[int] = set()
        try:
            for numbers in places.values():
                network = self._networks[numbers[0]]
                self._handles.append(network.register_forward_pre_hook(self._starts(numbers), prepend=True))
                for name, module in candidates(network):
                    if id(module) not in hooked:
                        hooked.add(id(module))
                        self._handles.append(module.register_forward_hook(self._notes(name)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._calls.clear()

    def _starts(self, numbers: Sequence[int]) -> Callable[[nn.Module, Any], None]:
        def start(module: nn.Module, inputs: Any) -> None:
            del module, inputs
            before = sum(number in numbers for number, _ in self._calls)
            self._calls.append((numbers[before % len(numbers)], []))

        return start

    def _notes(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            del module, inputs
            if self._calls and isinstance(output, Tensor) and output.ndim == 4 and output.shape[-2:].numel() > 1:
                self._calls[-1][1].append((name, output))

        return note

    def take(self) -> dict[int, list[tuple[str, Tensor]]]:
        """Return what the calls since the last time gave, by the network's place, and forget it."""
        found = dict(self._calls)
        self._calls.clear()
        return found


def feature_layers(network: nn.Module, image_shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Return the names of a network's layers in the order of computation; empty where feature attacks cannot be used.

    The second call of a module is named `name#2`. One black image of shape (C, H, W) is passed through the network in
    eval mode; modes, statistics and the global random generators stay as they are.
    """
    tensors = [*network.parameters(), *network.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with forked(device), torch.no_grad(), _Hooks([network]) as hooks:
            network(torch.zeros(1, *image_shape, device=device))
            found = hooks.take()[0]
    finally:
        for module, mode in modes:
            module.training = mode
    calls: Counter[str] = Counter()
    names = []
    for name, _ in found:
        calls[name] += 1
        names.append(name if calls[name] == 1 else f"{name}#{calls[name]}")
    return tuple(names)


class FeatureReader:
    """Reads feature maps while a surrogate runs; used as `with FeatureReader(surrogate, depth) as read`.

    Args:
        surrogate: every pass goes through it, and is counted there. depth: of the layer in each member; None reads all.
    """

    def __init__(self, surrogate: Surrogate, depth: float | None) -> None:
        self.surrogate = surrogate
        self._depth = depth
        self._hooks = _Hooks(list(surrogate.members))

    def __enter__(self) -> FeatureReader:
        self._hooks.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._hooks.__exit__()

    def __call__(self, images: Tensor) -> Looked:
        """Pass images (N, C, H, W) through the surrogate.

        Raises:
            InputError: a member has no layer.
        """
        self._hooks.take()
        logits = self.surrogate(images)
        return Looked(logits, {member: self._chosen(member, maps) for member, maps in self._hooks.take().items()})

    def _chosen(self, member: int, found: list[tuple[str, Tensor]]) -> tuple[Tensor, ...]:
        if not found:
            raise InputError(f"a feature attack cannot use member {member} of the surrogate: {NO_LAYER}")
        if self._depth is None:
            return tuple(output for _, output in found)
        return (found[round(self._depth * (len(found) - 1))][1],)

    def constants(self, images: Tensor) -> Maps:
        """Return the maps of images without a gradient, of all members even if they take turns."""
        found: dict[int, tuple[Tensor, ...]] = {}
        with torch.no_grad():
            for _ in self.surrogate.members:
                found = {**self(images).maps, **found}
                if len(found) == len(self.surrogate.members):
                    break
        return found


def pull_back(outputs: Sequence[Tensor], slopes: Sequence[Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradients by the inputs, float64, of the sum of slope * output over all outputs.

    outputs, inputs: tensors (N, ...) of a graph; image n of an input acts on image n of an output only. slopes: as the
    outputs, float64. They are scaled, image by image, by a power of two on their way, so that float32 loses none.
    """
    largest = torch.stack([slope.abs().flatten(1).amax(1) for slope in slopes]).amax(0)
    exponent = torch.frexp(largest).exponent.where(largest > 0, 0)

    def scaled(tensor: Tensor, power: Tensor) -> Tensor:
        return torch.ldexp(tensor, power.view(-1, *[1] * (tensor.ndim - 1)))

    sent = [scaled(slope, -exponent).to(output.dtype) for slope, output in zip(slopes, outputs, strict=True)]
    found = torch.autograd.grad(list(outputs), list(inputs), grad_outputs=sent)
    return tuple(scaled(gradient.double(), exponent) for gradient in found)


FeatureLoss = Callable[[int, tuple[Tensor, ...]], Tensor]
"""(member, its maps in float64, differentiable) -> what is ascended, summed over images: a scalar."""


class FeatureObjective(Objective):
    """An objective on feature maps: its gradient stands in for that of a loss of the logits, input transformations too.

    Args:
        read: the entered reader. labels: (N,). loss: of one member's maps; the objective is the sum over members.
        logits_weight: of the cross entropy of the logits, added to it.
    """

    def __init__(self, read: FeatureReader, labels: Tensor, loss: FeatureLoss, *, logits_weight: float = 0.0) -> None:
        super().__init__(read.surrogate, labels)
        self._read = read
        self._feature_loss = loss
        self._logits_weight = logits_weight

    def gradient(self, images: Tensor, view: View | None = None) -> Tensor:
        """Return the gradient at images (N, C, H, W), float64; `view` transforms them (differentiably) before."""
        point = images.detach().requires_grad_()
        looked = self._read(point if view is None else view(point))
        outputs: list[Tensor] = []
        slopes: list[Tensor] = []

        def add(found: Sequence[Tensor], loss: Callable[[tuple[Tensor, ...]], Tensor]) -> None:
            exact = tuple(output.detach().double().requires_grad_() for output in found)
            outputs.extend(found)
            slopes.extend(torch.autograd.grad(loss(exact), exact))

        for member, maps in looked.maps.items():
            add(maps, lambda exact, member=member: self._feature_loss(member, exact))  # type: ignore[misc]
        if self._logits_weight:
            add([looked.logits], lambda exact: self._logits_weight * self.values(exact[0]).sum())
        (found,) = pull_back(outputs, slopes, [point])
        return found


def of_member(stored: Mapping[int, _Kept], member: int) -> _Kept:
    """Return what was prepared for a member.

    Raises:
        InputError: it took part in no pass of the preparation (members that take turns, and fewer passes than members).
    """
    if member not in stored:
        raise InputError(
            f"a feature attack on members that take turns needs at least one pass a member before it starts; "
            f"member {member} had none"
        )
    return stored[member]
