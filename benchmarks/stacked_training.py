"""Does it pay to train several small networks at once in one thread? Stacked against one after the other.

    uv run python benchmarks/stacked_training.py [--models 2 4 8] [--rounds 5]

CPU seconds of a step (forward, loss, backward) of K networks of one architecture, batch 32 each: a loop over them;
`vmap` over their stacked weights (`torch.func`), which makes grouped convolutions of theirs; and the convolutions of
small_vgg alone, K separate ones against one of K groups, in both memory layouts. Printed: time of the loop / time of
the other, median [min, max] of rounds in turn. Above 1: stacking pays.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, replace_all_batch_norm_modules_, stack_module_state, vmap

from dumb_bench.catalogue import Catalogue

BATCH, REPEATS = 32, 5
LAYERS = ((1, 8, 32), (8, 16, 16), (16, 32, 8), (32, 32, 8))
"""small_vgg's convolutions: channels before, after, side."""


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return what a few runs cost this process, after one to warm up."""
    run()
    started = time.process_time()
    for _ in range(REPEATS):
        run()
    return time.process_time() - started


def networks(name: str, count: int) -> list[nn.Module]:
    """Return networks whose batch norm keeps no running statistics, which `vmap` cannot update."""
    build = Catalogue().get("architectures", name).call
    return [replace_all_batch_norm_modules_(build(2, (1, 32, 32))) for _ in range(count)]


def looped(models: list[nn.Module], images: Tensor, labels: Tensor) -> None:
    """Take the gradients of each model's loss on its own images (K, N, C, H, W)."""
    for model, own, wanted in zip(models, images, labels, strict=True):
        model.zero_grad()
        nn.functional.cross_entropy(model(own), wanted).backward()


def stacked(models: list[nn.Module]) -> Callable[[Tensor, Tensor], object]:
    """Return the same in one call."""
    weights, buffers = stack_module_state(models)
    skeleton = copy.deepcopy(models[0]).to("meta")

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(skeleton, (own, kept), (images,)), labels)

    call = vmap(grad(loss), randomness="different")
    return lambda images, labels: call(weights, buffers, images, labels)


def convolutions(count: int, layout: torch.memory_format, *, grouped: bool) -> Callable[[], None]:
    """Return forward and backward of small_vgg's convolutions for `count` models."""
    groups, times = (count, 1) if grouped else (1, count)
    made = []
    for before, after, side in LAYERS:
        layer = nn.Conv2d(groups * before, groups * after, 3, padding=1, groups=groups, bias=False)
        images = torch.rand(BATCH, groups * before, side, side).to(memory_format=layout).requires_grad_(before > 1)
        towards = torch.rand(BATCH, groups * after, side, side).to(memory_format=layout)
        made.append((layer.to(memory_format=layout), images, towards))

    def run() -> None:
        for _ in range(times):
            for layer, images, towards in made:
                layer(images).backward(towards)

    return run


def ratio(one: Callable[[], object], other: Callable[[], object], rounds: int) -> str:
    """Return the ratio of two runs' costs."""
    found = [cpu_seconds(one) / cpu_seconds(other) for _ in range(rounds)]
    return f"{statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}]"


def main() -> None:
    """Measure, and print a line a comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| what | models | loop / stacked |\n|---|---|---|")
    for name in ("small_alexnet", "small_resnet", "small_vgg"):
        for count in given.models:
            models = networks(name, count)
            images, labels = torch.rand(count, BATCH, 1, 32, 32), torch.arange(BATCH).expand(count, -1) % 2
            together = stacked(models)
            found = ratio(
                lambda models=models, images=images, labels=labels: looped(models, images, labels),
                lambda together=together, images=images, labels=labels: together(images, labels),
                given.rounds,
            )
            print(f"| {name}, vmap | {count} | {found} |", flush=True)
    for layout in (torch.contiguous_format, torch.channels_last):
        for count in given.models:
            one, other = (convolutions(count, layout, grouped=grouped) for grouped in (False, True))
            said = str(layout).removeprefix("torch.")
            print(
                f"| convolutions of small_vgg, grouped, {said} | {count} | {ratio(one, other, given.rounds)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
