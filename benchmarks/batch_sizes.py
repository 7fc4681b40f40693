"""How many images a pass should take: the measurements behind `dumb_bench.models.scoring_batches.FAST_BATCHES`.

    uv run python benchmarks/batch_sizes.py [--rounds 3] [--only resnet18@224 ...]

CPU microseconds an image of rebuilt networks, one thread, by images a pass: forward, and the gradient that attacks
take. The minimum of the rounds, which run through all batches in turn; the best batch of each row is marked.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from dumb_bench.attacks.gradients import Objective
from dumb_bench.catalogue import Catalogue
from dumb_bench.models.fast_network import fast_network
from dumb_bench.surrogate import LockedSurrogate

NETWORKS = (
    "small_alexnet@32", "small_resnet@32", "small_vgg@32", "wide_resnet@32", "resnet18@96", "resnet18@128",
    "alexnet@224", "resnet18@224", "vgg11_bn@224",
)  # fmt: skip
BATCHES = (8, 16, 32, 64, 128)
LONGEST_SECONDS = 4.0


def seconds(work: Callable[[], object]) -> float:
    """Return CPU seconds of a call, of as many as take a tenth of a second."""
    started, calls = time.process_time(), 0
    while calls == 0 or time.process_time() - started < 0.1:
        work()
        calls += 1
    return (time.process_time() - started) / calls


def survey(name: str, rounds: int) -> None:
    """Print both rows of a network."""
    architecture, _, side = name.partition("@")
    pixels = int(side)
    given = {"side": pixels} if architecture in ("alexnet", "resnet18", "vgg11_bn") and pixels != 224 else {}
    network = Catalogue().get("architectures", architecture).call(2, (3, pixels, pixels), **given)
    rebuilt = fast_network(network.eval().requires_grad_(False), (3, pixels, pixels))
    best: dict[str, dict[int, float]] = {"forward": {}, "gradient": {}}
    for _ in range(rounds):
        for batch in BATCHES:
            images, labels = torch.rand(batch, 3, pixels, pixels), torch.arange(batch) % 2
            gradient = Objective(LockedSurrogate([rebuilt], 2), labels).gradient

            def forward(images: torch.Tensor = images) -> None:
                with torch.inference_mode():
                    rebuilt(images)

            works: dict[str, Callable[[], object]] = {"forward": forward, "gradient": lambda: gradient(images)}  # noqa: B023
            for what, work in works.items():
                found = best[what]
                if found.get(batch // 2, 0.0) * batch > LONGEST_SECONDS:
                    continue
                found[batch] = min(found.get(batch, float("inf")), seconds(work) / batch)
    for what, found in best.items():
        least = min(found.values())
        cells = [f"{value * 1e6:>9.0f}{'*' if value == least else ' '}" for value in found.values()]
        print(f"{name if what == 'forward' else '':18}{what:9}" + "".join(cells), flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(NETWORKS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'us an image':27}" + "".join(f"{batch:>9} " for batch in BATCHES))
    for name in options.only:
        survey(name, options.rounds)


if __name__ == "__main__":
    main()
