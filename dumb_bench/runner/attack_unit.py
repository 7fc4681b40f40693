"""The unit that crafts an adversarial set, delivers it, and scores it on all its victims in one pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional

from dumb_bench.attacks.base import AttackInfo
from dumb_bench.attacks.craft import Crafted, budget_norm, delta_swap
from dumb_bench.catalogue import Entry, all_params
from dumb_bench.errors import AttackError
from dumb_bench.evaluation import count, margins_of
from dumb_bench.perturbation import l2, linf, ssim
from dumb_bench.runner.kept_sets import form_of, keep, load, there
from dumb_bench.runner.machine import hardware, host, library_versions
from dumb_bench.runner.made_set import MadeSet
from dumb_bench.runner.slot_state import ImageSet, SlotState, as_victim, labels_of
from dumb_bench.runner.units import AttackUnit, Wanted
from dumb_bench.spec import FAST, AttackSpec, ImagesSpec, ModelSpec, SurrogateSpec, to_json
from dumb_bench.store.rows import as_table


class _Answer(NamedTuple):
    """What the surrogate itself says of a delivered set; all None for an attack that looks at none."""

    logits: Tensor | None
    predictions: list[int] | None
    margins: Any
    loss: float | None
    correct: int | None
    fooled: int | None


def run_attack(unit: AttackUnit, state: SlotState) -> dict[str, pa.Table]:
    """Run a unit; return its rows of `attacks`, `tests` and `predictions`.

    Raises:
        AttackError: the attack broke its contract, or a set that is crafted again differs from the stored one.
    """
    spec = unit.base
    entry = state.catalogue.get("attacks", spec.attack.attack.name)
    images = state.image_set(spec.images)
    settings = all_params(entry, spec.attack.attack.as_dict())
    norm = budget_norm(entry.info, settings)
    seed_key = seed_key_of(spec.surrogate, spec.attack, spec.images, settings)
    at = {strength: [item for item in unit.wanted if item.strength == strength] for strength in
          dict.fromkeys(item.strength for item in unit.wanted)}  # fmt: skip
    surrogate = state.surrogate(spec.surrogate, spec.numerics) if spec.surrogate else None
    memory = None if surrogate is None else state.memory_bytes(spec, surrogate, images.images)
    steps = sorted({item.step for item in unit.wanted if item.step is not None})

    def crafting(strengths: Sequence[float | None]) -> Iterator[Crafted]:
        return state.crafting(
            spec.numerics, entry, surrogate, images.images, images.labels, strengths,
            params=spec.attack.attack.as_dict(), chunk=spec.attack.chunk, seed_key=seed_key,
            targets=images.aim(spec.attack.targeted), steps=steps,
        )  # fmt: skip

    rows: dict[str, list[dict[str, Any]]] = {"attacks": [], "tests": [], "predictions": []}
    expected = {attack_id: (known, stored) for attack_id, known, stored in unit.expected}
    kept = {strength for strength, here in at.items() if there(here, expected, state.store)}
    made = crafting([strength for strength in at if strength not in kept])
    turns = itertools.count()
    for strength, here in at.items():
        loaded = load(here, expected, images.images, state.store) if strength in kept else None
        forms = loaded or {}
        if loaded is None:
            crafted = next(made) if strength not in kept else next(crafting([strength]))
            forms = {"": crafted, **dict(zip(steps, crafted.recorded, strict=True))}
            if any(item.set.control for item in here):
                forms["delta_swap"] = delta_swap(crafted, images.images, images.labels, norm, seed_key=seed_key)
        made_of = {name: MadeSet(form, images.images) for name, form in forms.items()}
        if loaded is None:
            for final in {item.final_id for item in here if item.step is not None} & expected.keys():
                _compare(unit, final, made_of[""].sha256, expected)
        for item in here:
            form = forms[form_of(item)]
            stored = _compare(unit, item.attack_id, made_of[form_of(item)].sha256, expected)
            keep(unit.keep, item, form, images.images, state.classes(spec.images.task), state.store, loaded or ())
            delivered = state.deliver(form.images, item.delivery.name)
            answer = _ask(item, images, delivered, state)
            common = _common(unit, item, entry, settings, norm)
            if not stored:
                row = _attack_row(item, common, made_of[form_of(item)], delivered, images, answer, state, entry.info)
                rows["attacks"].append({**row, "memory_bytes": memory})
            if spec.numerics == FAST:
                delivered = delivered.to(memory_format=torch.channels_last)
            asked = list(zip(item.victims, item.test_ids, strict=True))
            if next(turns) % 2:
                asked.reverse()  # there and back again: where not all victims stay in memory, the last ones do
            for victim, test_id in asked:
                test, prediction = _score(item, common, victim, test_id, images, delivered, answer, state)
                rows["tests"].append(test)
                rows["predictions"].append(prediction)
    return {name: as_table(name, found) for name, found in rows.items()}


def _compare(unit: AttackUnit, attack_id: str, sha256: str, expected: Mapping[str, tuple[str, bool]]) -> bool:
    """Hold the sha256 of a set to that of the stored one; return whether its row is stored."""
    known, stored = expected.get(attack_id, (sha256, False))
    if known != sha256:
        raise AttackError(
            f"{unit.label}: crafted again it differs from the stored set ({sha256[:12]}, stored {known[:12]})"
        )
    return stored


def seed_key_of(
    surrogate: SurrogateSpec | None, attack: AttackSpec, images: ImagesSpec, settings: Mapping[str, Any]
) -> tuple[str | int, ...]:
    """Seeds derive from surrogate, attack and image source; never from strength, victim or the plugin's code.

    A parameter that is None counts as absent: one that an attack gains later, None by default, changes no stored set.
    """
    name = surrogate.id if surrogate else ""
    given = {key: value for key, value in settings.items() if value is not None}
    return ("craft", name, attack.attack.name, to_json(given), images.source.label, attack.seed)


def _ask(item: Wanted, images: ImageSet, delivered: Tensor, state: SlotState) -> _Answer:
    surrogate = item.set.surrogate
    if surrogate is None:
        return _Answer(None, None, None, None, None, None)
    numerics = item.set.numerics
    clean = state.own_labels(surrogate, item.set.images, item.delivery.name, numerics)
    logits = state.own_logits(surrogate, delivered, numerics)
    predictions = labels_of(logits)
    correct = clean == images.truth
    loss = float(functional.cross_entropy(logits.double(), images.labels))
    margins = margins_of(logits, images.labels).cpu().numpy().astype(np.float16)
    fooled = int((correct & (predictions != images.truth)).sum())
    return _Answer(logits, predictions.tolist(), margins, loss, int(correct.sum()), fooled)


def _common(
    unit: AttackUnit, item: Wanted, entry: Entry, settings: Mapping[str, Any], norm: str | None
) -> dict[str, Any]:
    """Return the columns that `attacks` and `tests` share."""
    spec = item.set
    params = {"of": spec.attack.attack.name, **settings} if spec.control else dict(settings)
    return {
        "attack_id": item.attack_id,
        "unit_key": unit.key,
        "task": spec.images.task,
        "attack": spec.attack_name,
        "attack_params": to_json(params),
        "attack_library": entry.info.library,
        "attack_seed": spec.attack.seed,
        "norm": norm,
        "strength": item.strength,
        "step": item.step,
        "targeted": spec.attack.targeted,
        "image_source": spec.images.source.label,
        "delivery": item.delivery.name,
    }


def _attack_row(
    item: Wanted,
    common: dict[str, Any],
    made: MadeSet,
    delivered: Tensor,
    images: ImageSet,
    answer: _Answer,
    state: SlotState,
    info: AttackInfo,
) -> dict[str, Any]:
    clean, crafted = images.images, made.crafted
    lists = {
        "linf": made.linf,
        "l2": made.l2,
        "linf_delivered": linf(delivered, clean),
        "l2_delivered": l2(delivered, clean),
        "ssim": ssim(delivered, clean).double(),
    }
    return {
        **common,
        "set_id": item.set.id,
        "surrogate_id": item.set.surrogate.id if item.set.surrogate else None,
        "strength_unit": info.unit or None,
        "n_images": len(clean),
        **{name: values.float().cpu().numpy() for name, values in lists.items()},
        **{f"mean_{name}": float(values.mean()) for name, values in lists.items()},
        "surrogate_predictions": answer.predictions,
        "surrogate_margins": answer.margins,
        "surrogate_loss": answer.loss,
        "n_surrogate_correct": answer.correct,
        "n_surrogate_fooled": answer.fooled,
        "budget_violation": crafted.budget_violation,
        "box_violation": crafted.box_violation,
        "budget_reached": crafted.budget_reached,
        "set_sha256": made.sha256,
        "forwards": crafted.forwards,
        "backwards": crafted.backwards,
        "seconds": crafted.seconds,
        "library_versions": library_versions(info.library),
        "hardware": hardware(str(state.device)),
        "host": host(),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _score(
    item: Wanted,
    common: dict[str, Any],
    victim: ModelSpec,
    test_id: str,
    images: ImageSet,
    delivered: Tensor,
    answer: _Answer,
    state: SlotState,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score one victim: a row of `tests` and one of `predictions`."""
    spec = item.set
    own = answer.logits if as_victim(spec.surrogate) == victim.id else None
    if own is None:
        logits, rescored = state.scored(victim, spec.images, delivered, spec.numerics)
    else:
        logits, rescored = own, None
    predictions = labels_of(logits)
    raw = state.clean_labels(victim, spec.images, "float32", spec.numerics)
    clean = state.clean_labels(victim, spec.images, item.delivery.name, spec.numerics)
    aim = images.targets if spec.attack.targeted else None
    counts = count(images.truth, raw, clean, predictions, state.classes(spec.images.task), aim)
    test = {
        **common,
        **state.pairs.columns(spec.surrogate, victim),
        "test_id": test_id,
        "scored_as": test_id,
        "strength_rule": "grid",
        **counts._asdict(),
        "n_surrogate_fooled": answer.fooled,
        "asr": counts.n_success / counts.n_victim_correct if counts.n_victim_correct else None,
        "control": bool(spec.control) or spec.attack_name in ("identity", "sign_noise"),
        "copied": False,
        "numerics": spec.numerics,
        "scoring_batch": state.scoring_batch(victim, delivered, spec.numerics),
        "n_rescored": rescored,
    }
    margins = margins_of(logits, images.labels).cpu().numpy().astype(np.float16)
    return test, {"test_id": test_id, "predictions": predictions.tolist(), "margins": margins}
