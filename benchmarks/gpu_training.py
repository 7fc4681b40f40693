"""What pays when networks are trained on a GPU: steps a second and device time of each option, side by side.

    python benchmarks/gpu_training.py [--device cuda] [--seconds 80] [--quick]

Needs PyTorch 2.6 or newer and torchvision, nothing of the package: the small networks are written out beside it, in
`gpu_steps.py`, with its layers. (Where the package can be imported, its own `fit` is timed too.) Every option is a
whole training step: inputs, forward, loss, backward, optimiser. It is warmed up, then timed by CUDA events in several
windows; printed are the median [min, max] of steps a second by the wall clock, the device's time a step between the
events around it, and the ratio to `plain` (fp32 without TF32). What no longer fits into the time given is named, not
run; compiling, which may take longest, comes last and in a process of its own, which is ended when time is up.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
import warnings
from contextlib import nullcontext
from typing import Any

import torch
from gpu_steps import (
    BEST,
    COMPILED,
    IMAGES,
    OPTIONS,
    PLAIN,
    Case,
    Option,
    Trainer,
    apply,
    built,
    settled,
    spread,
    windows,
)

SMALL = ("small_alexnet", "small_resnet", "small_vgg")
PROCESS_LIMIT = 45.0


def line_of(case: Case, option: Option, device: torch.device, seconds: float) -> tuple[str, float]:
    """Return two cells of the table, and steps a second; the reason, and 0, where this PyTorch or GPU cannot."""
    apply(option)
    try:
        found = list(windows(Trainer(case, option, device), device, seconds))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:120]} | ", 0.0
    rate = statistics.median(one.rate for one in found)
    return f"{spread([one.rate for one in found])} | {spread([one.device_ms for one in found])}", rate


def survey(case: Case, device: torch.device, seconds: float, deadline: float) -> None:
    """Print a line an option."""
    print(f"\n## {case.network}, {case.side} px, batch {case.batch}\n")
    print("| option | steps/s | device ms a step | against plain |\n|---|---|---|---|")
    plain = 0.0
    for option in OPTIONS:
        if device.type != "cuda" and (option.graph or option.inputs == "pinned"):
            continue
        if time.perf_counter() > deadline:
            print(f"| {option.name} | no time left | | |")
            continue
        cells, rate = line_of(case, option, device, seconds)
        plain = plain or rate
        print(f"| {option.name} | {cells} | {rate / plain if plain else 0:.2f} |", flush=True)


def on_streams(case: Case, device: torch.device, seconds: float, option: Option) -> None:
    """Print the steps a second of 1, 2 and 4 models in one process, each on a stream of its own, in turn."""
    apply(option)
    for count in (1, 2, 4):
        trainers = [Trainer(case, option, device) for _ in range(count)]
        streams = [torch.cuda.Stream() if device.type == "cuda" else None for _ in trainers]
        settled(device)

        def step(trainers: list[Trainer] = trainers, streams: list[Any] = streams) -> None:
            for trainer, stream in zip(trainers, streams, strict=True):
                with torch.cuda.stream(stream) if stream is not None else nullcontext():
                    trainer()

        rates = [count * one.rate for one in windows(step, device, seconds)]
        print(f"| {option.name} | {count} on streams | {spread(rates)} |", flush=True)


def _one_of_many(case: Case, option: Option, device: str, seconds: float, ready: Any, rates: Any) -> None:
    if device == "cpu":
        torch.set_num_threads(1)
    apply(option)
    trainer = Trainer(case, option, torch.device(device))
    for _ in range(5):
        trainer()
    settled(trainer.device)
    ready.wait(PROCESS_LIMIT)
    rates.put([one.rate for one in windows(trainer, trainer.device, seconds)])


def in_processes(case: Case, device: torch.device, seconds: float, option: Option, count: int) -> None:
    """Print the steps a second, added up, of models that train at once in processes of their own."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(count), context.SimpleQueue()
    given = (case, option, device.type, seconds, ready, rates)
    started = [context.Process(target=_one_of_many, args=given) for _ in range(count)]
    for process in started:
        process.start()
    for process in started:
        process.join(PROCESS_LIMIT)
    if any(process.exitcode != 0 for process in started):
        for process in started:
            process.kill()
        print(f"| {option.name} | {count} in processes | failed |", flush=True)
        return
    found = [rates.get() for _ in started]
    total = spread([sum(each) for each in zip(*found, strict=True)])
    print(f"| {option.name} | {count} in processes | {total} |", flush=True)


def _compiled(case: Case, device: str, seconds: float) -> None:
    cells, _ = line_of(case, COMPILED, torch.device(device), seconds)
    print(f"| {case.network}, batch {case.batch} | {cells} |", flush=True)


def compiled(cases: list[Case], device: torch.device, seconds: float, deadline: float) -> None:
    """Print what compiled networks do, each in a process of its own that ends when time is up."""
    print(f"\n## {COMPILED.name}\n\n| network | steps/s | device ms a step |\n|---|---|---|", flush=True)
    for case in cases:
        process = multiprocessing.get_context("spawn").Process(target=_compiled, args=(case, device.type, seconds))
        process.start()
        process.join(max(deadline - time.perf_counter(), 1.0))
        if process.is_alive():
            process.kill()
            print(f"| {case.network}, batch {case.batch} | not compiled in the time left | |", flush=True)


def package_fit(device: torch.device, epochs: int, batches: tuple[int, ...]) -> None:
    """Time the package's own training loop, where it can be imported, with PyTorch's defaults."""
    try:
        from dumb_bench.defences.none import none
        from dumb_bench.models.fitting import Images, fit
        from dumb_bench.recipes import RECIPES
    except ImportError as error:
        print(f"\nthe package's `fit`: not importable here ({error.name})")
        return
    images = torch.randint(0, 256, (IMAGES, 1, 32, 32), dtype=torch.uint8, device=device)
    data = Images(images, torch.arange(IMAGES, device=device) % 2)
    print("\n## the package's `fit`, 32 px, recipe `small`\n\n| network | batch | steps/s |\n|---|---|---|")
    for name in SMALL:
        for batch in batches:
            recipe = RECIPES["small"].model_copy(update={"batch": batch, "epochs": epochs})
            rates = []
            for _ in range(4):
                network = built(name).to(device)
                started = time.perf_counter()
                fit(network, data, data, recipe, none(), len, early_stopping=False)
                settled(device)
                rates.append(epochs * -(-IMAGES // batch) / (time.perf_counter() - started))
            print(f"| {name} | {batch} | {spread(rates[1:])} |", flush=True)


def several(device: torch.device, seconds: float, counts: tuple[int, ...]) -> None:
    """Print what several models at once do, on streams and in processes."""
    case = Case("small_resnet", 32, 32)
    print("\n## several models at once: small_resnet, 32 px, batch 32\n")
    print("| option | models | steps/s, all |\n|---|---|---|")
    options = [PLAIN, BEST, *(option for option in OPTIONS if option.graph and device.type == "cuda")]
    for option in options:
        on_streams(case, device, seconds, option)
    for count in counts:
        in_processes(case, device, seconds, PLAIN, count)


def main() -> None:
    """Time the package's loop, survey each case, then several models at once; compile with the time that is left."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--seconds", type=float, default=80.0, help="of wall time, about")
    parser.add_argument("--quick", action="store_true", help="a moment for a few: to see that it runs")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    started, device = time.perf_counter(), torch.device(given.device)
    end = started + (1e6 if given.quick else given.seconds)
    if device.type == "cpu":
        torch.set_num_threads(1)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU, one thread"
    print(f"{where}, PyTorch {torch.__version__}")
    torch.manual_seed(0)
    if given.quick:
        package_fit(device, 1, (256,))
        for case in (Case("small_alexnet", 32, 8), Case("small_vgg", 32, 8), Case("resnet18", 64, 2)):
            survey(case, device, 0.02, end)
        several(device, 0.02, (2,))
        compiled([Case("small_resnet", 32, 8)], device, 0.02, time.perf_counter() + 40)
    else:
        each, large = given.seconds / 320, Case("resnet18", 224, 128)
        package_fit(device, 2, (32, 256))
        survey(large, device, 2 * each, end)
        for name in SMALL:
            survey(Case(name, 32, 32), device, each, end)
        several(device, each, (4,))
        for name in SMALL:
            survey(Case(name, 32, 256), device, each, end)
        compiled([Case("small_resnet", 32, 32), large], device, each, end)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
