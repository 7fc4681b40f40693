"""Where the time of a network's passes goes, by kind of operator, and how near they come to the machine's limit.

    uv run python benchmarks/passes.py [--rounds 3] [--networks NAME ...]

Forward, as victims are asked, and with the gradient of the images, as attacks take it; each network as it was trained
and rebuilt for `numerics = "fast"`, one thread. The digits' networks: 120 images of 32 pixels, the others 16 of 224.
Shares are the profiler's, self time; utilisation is that of the measured convolution peak (`training.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from training import LARGE, SMALL, cpu_seconds, flops_of, peak, shares, spread

from dumb_bench.catalogue import Catalogue
from dumb_bench.evaluation import logits_of
from dumb_bench.models.fast_network import fast_network


def gradient(network: nn.Module, images: Tensor) -> Tensor:
    """Return the gradient of a loss, in float64 as attacks take it, with respect to images (N, C, H, W)."""
    point = images.clone().requires_grad_(True)
    logits = network(point).double()
    functional.cross_entropy(logits, logits.argmax(1), reduction="sum").backward()  # type: ignore[no-untyped-call]
    assert point.grad is not None
    return point.grad


def often(times: int, run: Callable[[], object]) -> None:
    """Repeat a run."""
    for _ in range(times):
        run()


def used(run: Callable[[], object], rounds: int) -> str:
    """Return the utilisation of a run."""
    flops = flops_of(run)
    return spread([flops / min(cpu_seconds(run) for _ in range(3)) / peak() for _ in range(rounds)])


def main() -> None:
    """Print a line a network, form and pass."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=[*SMALL, *LARGE], choices=[*SMALL, *LARGE])
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.networks:
        number, side, times = (120, 32, 20) if name in SMALL else (16, 224, 1)
        images = torch.rand(number, 3, side, side, generator=torch.Generator().manual_seed(0))
        plain = Catalogue().get("architectures", name).call(2, (3, side, side)).eval().requires_grad_(False)
        for form, network in (("as trained", plain), ("rebuilt", fast_network(plain, (3, side, side)))):
            for kind, run in (
                ("forward", partial(often, times, partial(logits_of, network, images))),
                ("gradient", partial(often, times, partial(gradient, network, images))),
            ):
                shares(f"{name}, {form}, {kind}, utilisation {used(run, given.rounds)}", run, given.rounds)


if __name__ == "__main__":
    main()
