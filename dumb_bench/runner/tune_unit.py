"""The unit that chooses the strength of an attack for a surrogate, on the tuning split."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from dumb_bench.attacks.craft import budget_norm
from dumb_bench.attacks.tuning import Point, choose, largest_feasible, pruned
from dumb_bench.catalogue import all_params
from dumb_bench.evaluation import Labels
from dumb_bench.perturbation import ssim
from dumb_bench.runner.attack_unit import seed_key_of
from dumb_bench.runner.machine import hardware, host, library_versions
from dumb_bench.runner.slot_state import SlotState, labels_of
from dumb_bench.runner.units import TuneUnit
from dumb_bench.spec import TuneSpec, TuningSpec, to_json
from dumb_bench.store.rows import as_table
from dumb_bench.surrogate import Cost

DELIVERY = "uint8"
"""How the images reach the surrogate when a strength is chosen, whatever the grid's deliveries are."""


class _Measured(NamedTuple):
    """One strength on the tuning images. fooled: one count a surrogate, in the unit's order."""

    ssim: float
    fooled: tuple[int, ...]
    cost: Cost


class _Sweep:
    """The attack of a unit, made and measured at one strength after the other, each once."""

    def __init__(self, unit: TuneUnit, state: SlotState) -> None:
        first = unit.tunings[0]
        self.entry = state.catalogue.get("attacks", first.attack.attack.name)
        self.settings = all_params(self.entry, first.attack.attack.as_dict())
        self.surrogates = [item.surrogate for item in unit.tunings]
        self.images = state.image_set(first.images)
        self._state, self._spec = state, first
        own = [state.own_labels(item, first.images, DELIVERY, first.numerics) for item in self.surrogates]
        self.right = [labels == self.images.truth for labels in own]
        self._next: list[float] = []
        self._made = self._measured()

    def at(self, strength: float) -> _Measured:
        """Return what a strength does. What all strengths of an attack share is computed with the first of them."""
        self._next.append(strength)
        return next(self._made)

    def _measured(self) -> Iterator[_Measured]:
        """Yield what each strength does; an attack that looks at no surrogate is made once for all of them."""
        spec = self._spec
        looks = self.entry.info.uses != "nothing"
        assert not looks or len(self.surrogates) == 1
        surrogate = self._state.surrogate(spec.surrogate, spec.numerics) if looks else None
        made = self._state.crafting(
            spec.numerics, self.entry, surrogate, self.images.images, self.images.labels, iter(self._next.pop, None),
            params=spec.attack.attack.as_dict(), chunk=spec.attack.chunk,
            seed_key=(*seed_key_of(spec.surrogate if looks else None, spec.attack, spec.images, self.settings), "tune"),
            targets=self.images.aim(spec.attack.targeted),
        )  # fmt: skip
        last: tuple[Tensor, float, tuple[int, ...]] | None = None
        for crafted in made:
            delivered = self._state.deliver(crafted.images, DELIVERY)
            if last is None or not torch.equal(last[0], delivered):  # a budget that no step reaches changes nothing
                last = delivered, float(ssim(delivered, self.images.images).double().mean()), self._fooled(delivered)
            yield _Measured(*last[1:], Cost(crafted.forwards, crafted.backwards))

    def _fooled(self, delivered: Tensor) -> tuple[int, ...]:
        """Return how many images of those it gets right each surrogate is fooled by."""
        logits = (self._state.own_logits(surrogate, delivered, self._spec.numerics) for surrogate in self.surrogates)
        fooled = (self._success(labels_of(found)) for found in logits)
        return tuple(int((right & found).sum()) for right, found in zip(self.right, fooled, strict=True))

    def _success(self, predictions: Labels) -> Any:
        targeted = self._spec.attack.targeted
        return predictions == self.images.targets if targeted else predictions != self.images.truth


def run_tune(unit: TuneUnit, state: SlotState) -> dict[str, pa.Table]:
    """Run a unit; return its rows of `tunings`.

    Raises:
        AttackError: the attack broke its contract.
    """
    sweep = _Sweep(unit, state)
    tune = unit.tunings[0].tune
    measured: dict[float, _Measured] = {}
    started = time.perf_counter()

    def point(strength: float, place: int) -> Point:
        if strength not in measured:
            measured[strength] = sweep.at(strength)
        found, right = measured[strength], int(sweep.right[place].sum())
        return Point(strength, found.ssim, found.fooled[place] / right if right else 0.0)

    places = [partial(point, place=place) for place in range(len(unit.tunings))]
    choices = [_choice(tune, at) for at in places]
    rows = []
    for place, (item, chosen) in enumerate(zip(unit.tunings, choices, strict=True)):
        shortest, looked = largest_feasible(tune.over, places[place], tune.ssim)
        rows.append(
            {
                **_about(unit, item, sweep, state),
                "n_surrogate_correct": int(sweep.right[place].sum()),
                "strengths": sorted(measured),
                "mean_ssim": [measured[strength].ssim for strength in sorted(measured)],
                "n_fooled": [measured[strength].fooled[place] for strength in sorted(measured)],
                "strength": chosen.strength if chosen else None,
                "success": chosen.success if chosen else None,
                "feasible": chosen is not None,
                "sets_crafted": len(measured),
                "bisection_strength": shortest.strength if shortest else None,
                "bisection_success": shortest.success if shortest else None,
                "bisection_sets": len(looked),
            }
        )
    cost = [sum(values) for values in zip(*(found.cost for found in measured.values()), strict=True)]
    shared = {"forwards": cost[0], "backwards": cost[1], "seconds": time.perf_counter() - started}
    return {"tunings": as_table("tunings", [{**row, **shared} for row in rows])}


def _choice(tune: TuneSpec, at: Callable[[float], Point]) -> Point | None:
    """Return the strength that a surrogate chooses. at: measures one."""
    if tune.search == "full":
        return choose([at(strength) for strength in tune.over], tune.ssim, reference=tune.reference)
    if tune.search == "pruned":
        return pruned(tune.over, at, tune.ssim, reference=tune.reference)
    return largest_feasible(tune.over, at, tune.ssim)[0]


def _about(unit: TuneUnit, item: TuningSpec, sweep: _Sweep, state: SlotState) -> dict[str, Any]:
    return {
        "tuning_id": item.id,
        "unit_key": unit.key,
        "task": item.images.task,
        "surrogate_id": item.surrogate.id,
        "attack": item.attack.attack.name,
        "attack_params": to_json(dict(sweep.settings)),
        "attack_library": sweep.entry.info.library,
        "attack_seed": item.attack.seed,
        "norm": budget_norm(sweep.entry.info, sweep.settings),
        "targeted": item.attack.targeted,
        "image_source": item.images.source.label,
        "split": item.images.split,
        "delivery": DELIVERY,
        "n_images": len(sweep.images.truth),
        "ssim_above": item.tune.ssim,
        "reference": item.tune.reference,
        "search": item.tune.search,
        "numerics": item.numerics,
        "library_versions": library_versions(sweep.entry.info.library),
        "hardware": hardware(str(state.device)),
        "host": host(),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
