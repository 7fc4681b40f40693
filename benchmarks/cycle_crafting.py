"""What an attack on a surrogate of S networks costs: `cycle` (one network a step) against `mean_logits` (all of them).

    uv run python benchmarks/cycle_crafting.py [S]

Prints the ratio of CPU seconds (median and range of rounds in which both run, in turn) and of gradient evaluations.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from dumb_bench.attacks.craft import craft
from dumb_bench.catalogue import Catalogue
from dumb_bench.surrogate import LockedSurrogate

ROUNDS, STEPS, IMAGES = 7, 16, 64


def main(samples: int) -> None:
    """Measure, and print one line an architecture."""
    torch.set_num_threads(1)
    catalogue = Catalogue()
    images = torch.rand(IMAGES, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(IMAGES) % 2
    attack = catalogue.get("attacks", "mifgsm")
    for name in ("small_alexnet", "small_resnet", "small_vgg"):
        build = catalogue.get("architectures", name).call
        networks = [build(2, (1, 32, 32)).eval() for _ in range(samples)]
        spent: dict[str, list[float]] = {"mean_logits": [], "cycle": []}
        gradients = {}
        for _ in range(ROUNDS):
            for aggregation, seconds in spent.items():
                surrogate = LockedSurrogate(networks, 2, aggregation)
                started = time.process_time()
                (made,) = craft(
                    attack, surrogate, images, labels, [0.1], params={"steps": STEPS}, chunk=IMAGES, seed_key=("cost",)
                )
                seconds.append(time.process_time() - started)
                gradients[aggregation] = made.backwards
        ratios = [mean / cycle for mean, cycle in zip(spent["mean_logits"], spent["cycle"], strict=True)]
        print(
            f"{name}, {samples} networks: mean_logits / cycle = {statistics.median(ratios):.2f} in CPU seconds "
            f"({min(ratios):.2f} to {max(ratios):.2f} in {ROUNDS} rounds), "
            f"{gradients['mean_logits'] / gradients['cycle']:.2f} in gradients"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
