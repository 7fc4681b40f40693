"""What a GPU gives: passes and gradients by arithmetic and layout, CUDA graphs, bfloat16 labels, a whole grid.

    uv run python benchmarks/gpu.py [--device cuda] [--quick] [--skip grid]

Times are device times by CUDA events (wall times on a CPU), medians of repeats after a warm-up. Utilisation is that of
the card's measured peak (the same convolutions, the best of several shapes). Labels of bfloat16 scoring are compared
with those of float32 proper on all images, clean and attacked. The grid is the quickstart, in process, exact and fast,
beside the same grid on the CPU where `--cpu RESULTS` names a folder of one.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from half_scoring import LARGE
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dumb_bench.attacks.gradient_graphs import CALLS_BEFORE, GradientGraphs
from dumb_bench.attacks.gradients import Objective
from dumb_bench.catalogue import Catalogue
from dumb_bench.models.arithmetic import arithmetic
from dumb_bench.models.fast_network import fast_network
from dumb_bench.models.half_scoring import HalfNetwork, ask, errors, tolerance_of
from dumb_bench.surrogate import LockedSurrogate

SETTINGS = [
    ("small_alexnet", 32, 64), ("small_resnet", 32, 64), ("small_vgg", 32, 64), ("small_resnet", 32, 1024),
    ("resnet18", 224, 64), ("vgg11_bn", 224, 64), ("alexnet", 224, 64), ("resnet18", 224, 256),
]  # fmt: skip


def milliseconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the median time of a call; on a GPU several calls between two events, so that the queue stays full."""
    for _ in range(3):
        work()
    found = []
    for _ in range(repeats):
        if device.type == "cuda":
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize()
            first.record()
            for _ in range(5):
                work()
            last.record()
            torch.cuda.synchronize()
            found.append(first.elapsed_time(last) / 5)
        else:
            started = time.perf_counter()
            work()
            found.append((time.perf_counter() - started) * 1000)
    return statistics.median(found)


def peak(device: torch.device, repeats: int, dtype: torch.dtype, tf32: bool) -> float:
    """Return the best TFLOP/s of 3x3 convolutions of several shapes, channels last."""
    best = 0.0
    for channels, side, batch in ((64, 56, 64), (128, 28, 128), (256, 14, 256), (512, 14, 128)):
        batch = batch if device.type == "cuda" else 4
        images = torch.rand(batch, channels, side, side, device=device, dtype=dtype)
        images = images.to(memory_format=torch.channels_last)
        layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(device, dtype)
        layer = layer.to(memory_format=torch.channels_last)
        operations = 2 * batch * channels**2 * 9 * side**2
        with torch.inference_mode(), arithmetic(device, tf32=tf32):
            best = max(best, operations / milliseconds(lambda: layer(images), device, repeats) / 1e9)  # noqa: B023
    return best


def trained(name: str, side: int, device: torch.device) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network fitted for a few steps to two classes of noise, so that logits are of an ordinary size."""
    shape = (3, side, side)
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(256) % 2
    images = torch.rand(256, *shape, generator=generator) * 0.5
    images[labels == 1, :, : side // 2] += 0.08
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = Catalogue().get("architectures", name).call(2, shape)
    images, labels = (images.clamp(0, 1) * 255).round().div(255).to(device), labels.to(device)
    network = network.to(device).train()
    stepper = torch.optim.Adam(network.parameters(), lr=1e-4)
    for step in range(12 if device.type == "cuda" else 1):
        part = slice(64 * (step % 4), 64 * (step % 4) + 64)
        stepper.zero_grad()
        nn.functional.cross_entropy(network(images[part]), labels[part]).backward()
        stepper.step()
    return network.eval().requires_grad_(False), images, labels


def _seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def gradient_of(network: nn.Module, labels: Tensor, *, graphs: bool = False) -> Callable[[Tensor], Tensor]:
    """Return the gradient that attacks take, through a locked surrogate. graphs: recorded as a CUDA graph."""
    surrogate = LockedSurrogate([network], 2)
    if graphs:
        surrogate.gradient_graphs = GradientGraphs(surrogate)
    return Objective(surrogate, labels).gradient


def passes(name: str, side: int, batch: int, device: torch.device, repeats: int, peaks: dict[str, float]) -> None:
    """Print times of a forward pass and of a gradient, and whether bfloat16 scoring gives the labels of float32."""
    network, images, labels = trained(name, side, device)
    rebuilt = fast_network(network, (3, side, side))
    half = HalfNetwork(rebuilt).to(device)
    whole = images.repeat(-(-batch // len(images)), 1, 1, 1)[:batch]
    truth = labels.repeat(-(-batch // len(labels)))[:batch]
    with FlopCounterMode(display=False) as counter:
        rebuilt(images[:1])
    operations = counter.get_total_flops() * batch / 1e9
    print(f"{name} {side} px, batch {batch}; rebuilt: {rebuilt is not network}")
    with torch.inference_mode():
        for what, asked, tf32, kind in (
            ("plain float32", network, False, "fp32"), ("plain TF32", network, True, "tf32"),
            ("rebuilt float32", rebuilt, False, "fp32"), ("rebuilt TF32", rebuilt, True, "tf32"),
            ("rebuilt bfloat16", half, False, "bf16"),
        ):  # fmt: skip
            with arithmetic(device, tf32=tf32):
                took = milliseconds(lambda: asked(whole), device, repeats)  # noqa: B023
            print(f"  forward  {what:18} {took:9.3f} ms  {operations / took / peaks[kind]:6.1%} of its peak")
    for what, asked, tf32, kind in (
        ("plain float32", network, False, "fp32"), ("plain TF32", network, True, "tf32"),
        ("rebuilt float32", rebuilt, False, "fp32"), ("rebuilt TF32", rebuilt, True, "tf32"),
    ):  # fmt: skip
        with arithmetic(device, tf32=tf32):
            gradient = gradient_of(asked, truth)
            took = milliseconds(lambda: gradient(whole), device, repeats)  # noqa: B023
            print(f"  gradient {what:18} {took:9.3f} ms  {2 * operations / took / peaks[kind]:6.1%} of its peak")
            if device.type == "cuda" and what == "rebuilt TF32":
                recorded, wanted = gradient_of(asked, truth, graphs=True), gradient(whole)
                seconds = [_seconds(lambda: recorded(whole)) for _ in range(CALLS_BEFORE + 1)][-1]  # noqa: B023
                same = torch.equal(recorded(whole), wanted)
                again = milliseconds(lambda: recorded(whole), device, repeats)  # noqa: B023
                print(
                    f"  gradient {'the same, recorded':18} {again:9.3f} ms  recorded in {seconds:.3f} s, equal: {same}"
                )
    _labels(rebuilt, half, images, labels, device)


def _labels(network: nn.Module, half: nn.Module, images: Tensor, labels: Tensor, device: torch.device) -> None:
    """Print how bfloat16 scoring does on clean and on attacked images."""
    with arithmetic(device, tf32=False):
        slope = gradient_of(network, labels[:64])(images[:64])
        attacked = torch.cat([(images[:64] + eps * slope.sign()).clamp(0, 1).float() for eps in (0.002, 0.01, 0.05)])
        attacked = (attacked * 255).round() / 255
        with torch.inference_mode():
            tolerance = tolerance_of(half(images), network(images))
            for what, given in (("clean", images), ("attacked", attacked)):
                true, near = network(given), half(given)
                found = ask(given, half, network, tolerance)
                wrong = int((found.logits.argmax(1) != true.argmax(1)).sum())
                alone = int((near.argmax(1) != true.argmax(1)).sum())
                largest = float(errors(near, true).max() / tolerance)
                print(
                    f"  labels   {what}: {wrong} of {len(given)} differ from float32's, {alone} without asking again; "
                    f"asked again {found.rescored}; largest error {largest:.2f} of the tolerance"
                )


def grid(name: str, text: str, device: str, folder: Path) -> None:
    """Run a grid in process, exact and fast; print seconds and how far the two agree."""
    import pandas as pd

    folder.mkdir()
    found = {}
    for numerics in ("exact", "fast"):
        path = folder / f"{numerics}.toml"
        path.write_text(text.replace(f'name = "{name}"', f'name = "{name}_{numerics}"\nnumerics = "{numerics}"', 1))
        started = time.perf_counter()
        command = ["run", str(path), "--address", "serial", "--results", str(folder / numerics), "--no-report"]
        command += ["--store", str(folder / "store"), "--gpus-per-slot", "1" if device == "cuda" else "0"]
        subprocess.run(
            [sys.executable, "-c", "from dumb_bench.cli import main; main()", *command],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        print(f"{name}, {numerics}: {time.perf_counter() - started:.1f} s in one process")
        found[numerics] = pd.read_parquet(folder / numerics / "tables" / "tests")
    keys = ["surrogate_id", "attack", "attack_params", "strength", "image_source", "victim_id"]
    both = found["exact"].merge(found["fast"], on=keys, suffixes=("", "_fast"))
    changed = int((both.n_success != both.n_success_fast).sum())
    print(
        f"  {len(both)} tests, {changed} with another success; largest difference "
        f"{(both.asr - both.asr_fast).abs().max():.4f}; means {both.asr.mean():.5f} and {both.asr_fast.mean():.5f}; "
        f"asked again {int(found['fast'].n_rescored.fillna(0).sum())} of {int(found['fast'].n_images.sum())} images"
    )


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="small networks only, few repeats")
    parser.add_argument("--skip", nargs="*", default=[], choices=["passes", "grid"])
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    repeats = 3 if options.quick else 15
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device), "torch", torch.__version__, "CUDA", torch.version.cuda)
    if "passes" not in options.skip:
        peaks = {
            "fp32": peak(device, repeats, torch.float32, False), "tf32": peak(device, repeats, torch.float32, True),
            "bf16": peak(device, repeats, torch.bfloat16, False),
        }  # fmt: skip
        print("convolution peaks, TFLOP/s:", {key: round(value, 1) for key, value in peaks.items()})
        for name, side, batch in SETTINGS[:3] if options.quick else SETTINGS:
            passes(name, side, batch, device, repeats, copy.copy(peaks))
    if "grid" not in options.skip:
        with tempfile.TemporaryDirectory() as folder:
            grid("quickstart", Path("grids/quickstart.toml").read_text(), options.device, Path(folder) / "small")
            large = LARGE.replace("seed = 7", "seed = [7, 8, 9]").replace("epochs = 2", "epochs = 6")
            grid("large", large, options.device, Path(folder) / "large")


if __name__ == "__main__":
    main()
