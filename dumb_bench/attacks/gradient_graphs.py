"""Gradients of a surrogate as CUDA graphs: recorded after a few calls, replayed from then on.

On small networks the launch of kernels takes ten times as long as their work; a replay launches once. The same kernels
on the same numbers: bit for bit what the calls gave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dumb_bench.surrogate import Cost, LockedSurrogate

CALLS_BEFORE = 4
"""Calls of one shape before it is recorded: a recording costs as much as about ten."""

Work = Callable[..., tuple[Tensor, ...]]


class _Recorded(NamedTuple):
    """A graph. inputs, outputs: the tensors that it reads and writes. cost: the passes of one replay."""

    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    cost: Cost


class GradientGraphs:
    """The recorded gradients of one surrogate, whose networks draw no random numbers and do not take turns."""

    def __init__(self, surrogate: LockedSurrogate) -> None:
        self._surrogate = surrogate
        self._calls: Counter[Hashable] = Counter()
        self._recorded: dict[Hashable, _Recorded | None] = {}

    def __call__(self, name: Hashable, work: Work, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return `work(*inputs)`. name: of the work; the same name and shapes must mean the same computation."""
        key = (name, *((tuple(given.shape), given.dtype, given.stride()) for given in inputs))
        self._calls[key] += 1
        if self._calls[key] <= CALLS_BEFORE or not inputs[0].is_cuda:
            return work(*inputs)
        if key not in self._recorded:
            self._recorded[key] = self._record(work, inputs)
        found = self._recorded[key]
        if found is None:
            return work(*inputs)
        for held, given in zip(found.inputs, inputs, strict=True):
            held.copy_(given)
        found.graph.replay()
        self._surrogate.count(found.cost)
        return tuple(output.clone() for output in found.outputs)

    def _record(self, work: Work, inputs: Sequence[Tensor]) -> _Recorded | None:
        """Record a work; None where it cannot be. What recording passes through the surrogate is not counted."""
        held = tuple(given.clone() for given in inputs)
        before = self._surrogate.cost
        graph = torch.cuda.CUDAGraph()
        try:
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):  # PyTorch: warm up on another stream than the default one
                work(*held)
            torch.cuda.current_stream().wait_stream(aside)
            warm = self._surrogate.cost
            with torch.cuda.graph(graph):
                outputs = work(*held)
        except RuntimeError:
            return None
        finally:
            after = self._surrogate.cost
            self._surrogate.count(Cost(before.forwards - after.forwards, before.backwards - after.backwards))
        passed = Cost(after.forwards - warm.forwards, after.backwards - warm.backwards)
        return _Recorded(graph, held, outputs, passed)
