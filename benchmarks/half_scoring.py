"""Labels from bfloat16 passes against those of float32, on every image of a study, and what it saves.

    uv run python benchmarks/half_scoring.py [GRID] [--store DIR] [--large] [--every 1]

Every adversarial set of the grid is crafted in process and delivered; all victims score it four ways: as `exact` does
(plain networks), rebuilt in float32, in bfloat16 alone, and in bfloat16 with doubtful images asked again in float32 (as
`fast` does with sets large enough).
Printed by architecture: images, labels that differ from float32's, images asked again, CPU seconds and their ratios.
The models are read from the store; run the grid first. --large: instead the same task at 224 pixels, with resnet18,
vgg11_bn and alexnet trained here for a few epochs (about ten CPU minutes).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dumb_bench.attacks.craft import budget_norm, delta_swap
from dumb_bench.catalogue import Catalogue, all_params
from dumb_bench.evaluation import mean_logits_of
from dumb_bench.grid_file import parse_grid
from dumb_bench.models import half_scoring
from dumb_bench.models.scoring_batches import batch_for
from dumb_bench.runner.attack_unit import seed_key_of
from dumb_bench.runner.plan import Plan, build_plan
from dumb_bench.runner.run import RunOptions, run_grid
from dumb_bench.runner.slot_state import SlotState
from dumb_bench.store.store import Store

LARGE = """
name = "large"
task = "digits"
[models]
source = "optdigits"
subset = "half_a"
architecture = ["alexnet", "resnet18", "vgg11_bn"]
balance = "50/50"
seed = 7
[images]
per_class = 40
[training]
recipe = { name = "small", lr = 1e-4, epochs = 2 }
[[attacks]]
name = "pgd"
strength = ["2/255", "8/255"]
params = { steps = 3 }
[[attacks]]
name = "gaussian_noise"
strength = 0.05
"""
WAYS = ("exact", "rebuilt", "bfloat16", "fast")


class Watcher:
    """Prints nothing."""

    def started(self, units: object) -> None: ...

    def ended(self, unit: object, outcome: object, failed: bool) -> None: ...

    def tick(self) -> None: ...


def sets_of(
    plan: Plan, state: SlotState, every: int
) -> list[tuple[object, tuple[str, ...], Callable[[], list[Tensor]]]]:
    """Return every planned set, with the control that swaps its perturbations: spec, victims, how both are made."""
    found = []
    swapped = {replace(item.spec, control="") for item in plan.sets if item.spec.control == "delta_swap"}
    for number, item in enumerate(plan.sets):
        if item.spec.control == "delta_swap" or item.tunings or number % every:
            continue

        def make(item=item) -> list[Tensor]:
            spec = item.spec
            entry = state.catalogue.get("attacks", spec.attack.attack.name)
            images = state.image_set(spec.images)
            settings = all_params(entry, spec.attack.attack.as_dict())
            seed_key = seed_key_of(spec.surrogate, spec.attack, spec.images, settings)
            surrogate = state.surrogate(spec.surrogate, "fast") if spec.surrogate else None
            made = state.crafting(
                "fast", entry, surrogate, images.images, images.labels, item.strengths,
                params=spec.attack.attack.as_dict(), chunk=spec.attack.chunk,
                seed_key=seed_key,
                targets=images.aim(spec.attack.targeted),
            )  # fmt: skip
            forms = []
            for each in made:
                forms.append(each)
                if spec in swapped:
                    norm = budget_norm(entry.info, settings)
                    forms.append(delta_swap(each, images.images, images.labels, norm, seed_key=seed_key))
            return [state.deliver(each.images, delivery.name) for each in forms for delivery in plan.deliveries]

        found.append((item.spec, item.victims, make))
    return found


def timed(work: Callable[[], Tensor], seconds: dict[str, float], way: str) -> Tensor:
    """Do some work; add its CPU seconds."""
    started = time.process_time()
    found = work()
    seconds[way] += time.process_time() - started
    return found


def compare(plan: Plan, state: SlotState, every: int) -> None:
    """Score every set in each way and print the table."""
    images: dict[str, int] = defaultdict(int)
    again: dict[str, int] = defaultdict(int)
    wrong: dict[tuple[str, str], int] = defaultdict(int)
    seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for spec, victims, make in sets_of(plan, state, every):
        for delivered in make():
            for name in victims:
                victim = plan.victims[name]
                kind, source = victim.architecture.name, spec.images.source
                halves = state.halves.networks(victim, delivered[:1])
                if halves is None:
                    raise SystemExit(f"{kind}: this machine, or this model, has no bfloat16 passes")
                state.scored(victim, spec.images, delivered[:1], "fast")  # the tolerance, measured once for each victim
                own = seconds[kind]
                exact = timed(lambda: state.answer(victim, source, delivered), own, "exact")  # noqa: B023
                full = timed(lambda: state.answer(victim, source, delivered, "fast"), own, "rebuilt")  # noqa: B023
                batch = batch_for(delivered, "fast", halves)
                half = timed(lambda: mean_logits_of(halves, delivered, batch=batch), own, "bfloat16")  # noqa: B023
                count = again[kind]

                def fast(victim=victim, delivered=delivered, spec=spec, kind=kind) -> Tensor:
                    answer = state.scored(victim, spec.images, delivered, "fast")
                    again[kind] += answer.rescored or 0
                    return answer.logits

                found = timed(fast, own, "fast")
                assert again[kind] >= count
                images[kind] += len(delivered)
                for way, logits in (("exact", exact), ("bfloat16", half), ("fast", found)):
                    wrong[kind, way] += int((logits.argmax(1) != full.argmax(1)).sum())
    print(f"{'':14}{'images':>10}{'labels that differ from float32 (rebuilt)':>44}{'asked':>9}   CPU, exact = 1")
    print(f"{'':24}{'exact':>14}{'bfloat16':>15}{'fast':>15}{'again':>9}" + "".join(f"{way:>10}" for way in WAYS[1:]))
    for kind in sorted(images):
        own = seconds[kind]
        print(
            f"{kind:14}{images[kind]:>10,}{wrong[kind, 'exact']:>14}{wrong[kind, 'bfloat16']:>15}"
            f"{wrong[kind, 'fast']:>15}{again[kind] / images[kind]:>9.2%}"
            + "".join(f"{own[way] / own['exact']:>10.2f}" for way in WAYS[1:]),
            flush=True,
        )
    total = {way: sum(own[way] for own in seconds.values()) for way in WAYS}
    print(
        f"{'all':14}{sum(images.values()):>10,}"
        + "".join(f"{sum(wrong[kind, way] for kind in images):>{width}}" for way, width in
                  (("exact", 14), ("bfloat16", 15), ("fast", 15)))
        + f"{sum(again.values()) / sum(images.values()):>9.2%}"
        + "".join(f"{total[way] / total['exact']:>10.2f}" for way in WAYS[1:])
        + f"   ({total['exact']:.1f} CPU-s)"
    )  # fmt: skip


def main() -> None:
    """Compare on a grid, or on the large networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", nargs="?", type=Path, default=Path("grids/quickstart.toml"))
    parser.add_argument("--store", default="results/.store")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth set")
    options = parser.parse_args()
    torch.set_num_threads(1)
    half_scoring.LEAST_PIXELS["cpu"] = 0
    catalogue = Catalogue()
    with tempfile.TemporaryDirectory() as folder:
        text, store = options.grid.read_text(), options.store
        if options.large:
            text, store = LARGE, f"{folder}/store"
            trained = LARGE.partition("[[attacks]]")[0] + '[[attacks]]\nname = "box_blur"\nstrength = 1.0\n'
            (Path(folder) / "large.toml").write_text(trained)
            asked = RunOptions(results=f"{folder}/results", store=store, address="serial")
            run_grid(Path(folder) / "large.toml", catalogue, asked, Watcher(), lambda line: print(line, flush=True))
        plan = build_plan(parse_grid(text, "grid", catalogue), catalogue)
        compare(plan, SlotState(Store.open(store), catalogue, "cpu"), options.every)


if __name__ == "__main__":
    main()
