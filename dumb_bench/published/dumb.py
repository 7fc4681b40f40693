"""`import dumb`: the result files of Alecci et al. (RAID 2023) as results of this package."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from dumb_bench.errors import InputError
from dumb_bench.published.attacks import DUMB
from dumb_bench.published.counts import ContradictionError, Counts, Rates, recover
from dumb_bench.published.dumb_files import Evaluation, Measured, Network, TaskFiles, read_folder
from dumb_bench.published.dumb_strengths import THRESHOLD, Strengths, strengths_of
from dumb_bench.published.files import Numbered
from dumb_bench.published.records import Columns, Imported, Made, Outcome, model_row, published
from dumb_bench.published.studies import DUMB as STUDY
from dumb_bench.published.studies import NUMERICS, dumb_artefacts
from dumb_bench.spec import ModelSpec, SurrogateSpec, digest, to_json

_ARCHITECTURES = {"resnet": "resnet18", "vgg": "vgg11_bn"}
_N_IMAGES = 2 * STUDY.per_class

Pool = tuple[str, Network]
"""Whose images, and who looks at them: all tests of a pool count the same images."""


class _Task:
    """One task on its way into rows."""

    def __init__(self, files: TaskFiles) -> None:
        self.files = files
        self.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", files.task).lower()
        self.strengths: Strengths = strengths_of(files)
        self.networks: dict[Network, ModelSpec] = {}
        self.uncounted: list[str] = []

    def model(self, network: Network) -> ModelSpec:
        """Return a network as this package's grid of the study names it."""
        if network not in self.networks:
            architecture = _ARCHITECTURES.get(network.architecture, network.architecture)
            self.networks[network] = ModelSpec(
                task=self.name, source=published("folder", origin=network.source),
                architecture=published(architecture), balance=network.balance, recipe=published("dumb_2023"), seed=0,
                init="imagenet1k_v1",
            )  # fmt: skip
        return self.networks[network]

    @cached_property
    def counts(self) -> tuple[dict[int, tuple[Counts, int]], dict[Pool, tuple[int, int]]]:
        """By the identity of a row its pool's counts and its place in them, and each pool's images by class."""
        pools: dict[Pool, list[Numbered[Any]]] = {}
        for rows in self.files.evaluations.values():
            for item in rows:
                pools.setdefault((item.row.source_dataset, item.row.victim), []).append(item)
        for measured in self.files.history.values():
            for entry in measured:
                pools.setdefault((entry.row.dataset, entry.row.surrogate), []).append(entry)
        of_row: dict[int, tuple[Counts, int]] = {}
        n: dict[Pool, tuple[int, int]] = {}
        for pool, items in pools.items():
            counts = self._recovered(pool, items)
            if counts is not None:
                n[pool] = counts.n
                of_row |= {id(item.row): (counts, place) for place, item in enumerate(items)}
        return of_row, n

    def _recovered(self, pool: Pool, items: list[Numbered[Any]]) -> Counts | None:
        rows = [item.row for item in items]
        rates = Rates([row.asr for row in rows], [row.asr_0 for row in rows], [row.asr_1 for row in rows])
        try:
            counts = recover(rates)
        except ContradictionError as error:
            place = items[error.row].place
            raise InputError(
                f"{place}: asr, asr_0, asr_1 are no counts of at most {STUDY.per_class} images a class that all rows "
                f"of the victim {pool[1]} on images of {pool[0]} have in common"
            ) from None
        if counts is None:
            self.uncounted.append(f"{pool[1]} on images of {pool[0]}")
        return counts

    def outcome(self, row: Evaluation) -> Outcome:
        """Return the counts of a row; null where several would explain it."""
        found = self.counts[0].get(id(row))
        if found is None:
            return Outcome(_N_IMAGES, None, None, row.asr, class_images=[STUDY.per_class] * 2)
        counts, place = found
        k = [int(value) for value in counts.k[place]]
        right, success = sum(counts.n), sum(k)
        return Outcome(
            _N_IMAGES, right, success, success / right, class_images=[STUDY.per_class] * 2,
            class_victim_correct=list(counts.n), class_success=k,
        )  # fmt: skip

    def fooled(self, row: Measured | None) -> tuple[int | None, int | None]:
        """Return how many images the surrogate gets right, and how many of them fool it."""
        found = self.counts[0].get(id(row))
        return (None, None) if found is None else (sum(found[0].n), int(found[0].k[found[1]].sum()))


def read_dumb(folder: Path) -> Imported:
    """Return what a folder of the authors' result files holds.

    Raises:
        InputError: nothing can be imported, or a row is malformed, contradicts others or is there twice.
    """
    found = Imported(STUDY)
    tasks = [_Task(files) for files in read_folder(folder)]
    for task in tasks:
        for attack in task.files.evaluations:
            _add_attack(found, task, attack)
        _add_tunings(found, task)
        _add_models(found, task)
        found.missing += [f"missing: {path}" for path in task.files.missing]
        found.missing += [f"not imported: {path}" for path in task.files.unread]
    _describe(found, tasks)
    return found


def _made(task: _Task, attack: str, network: Network) -> Made:
    known = DUMB[attack]
    strength = task.strengths.of(attack, network)
    return Made(
        STUDY, SurrogateSpec((task.model(network),)), known, None if strength is None else strength * known.factor,
        published("folder", origin=network.source), "grid" if known.unit is None else "tuned",
    )  # fmt: skip


def _add_attack(found: Imported, task: _Task, attack: str) -> None:
    by_surrogate: dict[Network, dict[Network, Numbered[Evaluation]]] = {}
    for item in task.files.evaluations[attack]:
        victims = by_surrogate.setdefault(item.row.surrogate, {})
        if item.row.victim in victims:
            raise InputError(f"{item.place}: a second row of {item.row.surrogate} against {item.row.victim}")
        victims[item.row.victim] = item
    everyone = sorted({*by_surrogate, *(victim for victims in by_surrogate.values() for victim in victims)})
    for network, victims in by_surrogate.items():
        made = _made(task, attack, network)
        sweep = task.strengths.sweeps.get((attack, network))
        measured = None
        if sweep is not None:
            lone = len(sweep.rows) == 1 and made.attack.unit is None
            measured = sweep.rows[0] if lone else sweep.at(task.strengths.of(attack, network))
        right, fooled = task.fooled(measured)
        found.sets.append((made, tuple(task.model(victim).id for victim in everyone)))
        found.rows["attacks"].append(
            made.attack_row(
                n_images=_N_IMAGES, mean_ssim=measured.ssim if measured else None, n_surrogate_correct=right,
                n_surrogate_fooled=fooled,
            )
        )  # fmt: skip
        for victim, item in victims.items():
            found.rows["tests"].append(made.test_row(task.model(victim), task.outcome(item.row), fooled))


def _add_tunings(found: Imported, task: _Task) -> None:
    for (attack, network), sweep in task.strengths.sweeps.items():
        known = DUMB[attack]
        n = task.counts[1].get((network.source, network))
        if known.unit is None or n is None or attack not in task.files.evaluations:
            continue
        surrogate = SurrogateSpec((task.model(network),))
        about = [STUDY.name, surrogate.id, known.name]
        chosen, shortest = sweep.chosen, sweep.shortest
        found.rows["tunings"].append(
            {
                "tuning_id": digest(about), "unit_key": NUMERICS, "task": task.name, "surrogate_id": surrogate.id,
                "attack": known.name, "attack_params": to_json(known.params), "attack_library": STUDY.library,
                "attack_seed": 0, "norm": known.norm, "targeted": False,
                "image_source": published("folder", origin=network.source).label, "split": "test",
                "n_images": _N_IMAGES, "n_surrogate_correct": sum(n), "ssim_above": THRESHOLD, "reference": True,
                "search": "full", "strengths": [row.eps * known.factor for row in sweep.rows],
                "mean_ssim": [row.ssim for row in sweep.rows], "n_fooled": [task.fooled(row)[1] for row in sweep.rows],
                "strength": chosen.strength * known.factor if chosen else None,
                "success": chosen.success if chosen else None, "feasible": chosen is not None,
                "sets_crafted": len(sweep.rows), "bisection_sets": sweep.looked,
                "bisection_strength": shortest.strength * known.factor if shortest else None,
                "bisection_success": shortest.success if shortest else None,
            }
        )  # fmt: skip


def _add_models(found: Imported, task: _Task) -> None:
    f1: dict[Network, dict[str, float]] = {}
    for item in task.files.baseline:
        sources = f1.setdefault(item.row.network, {})
        if item.row.source_dataset in sources:
            raise InputError(f"{item.place}: a second row of {item.row.network} on images of {item.row.source_dataset}")
        sources[item.row.source_dataset] = item.row.baseline_f1
    for network, model in sorted(task.networks.items()):
        tested = f1.get(network, {})
        known: Columns = {
            "test_source": [published("folder", origin=source).label for source in tested],
            "test_delivery": ["uint8"] * len(tested), "clean_f1": list(tested.values()),
        }  # fmt: skip
        found.models[model.id] = model
        found.rows["models"].append(model_row(model, **(known if tested else {})))


def _describe(found: Imported, tasks: list[_Task]) -> None:
    attacks = frozenset(attack for task in tasks for attack in task.files.evaluations)
    pairs = [(row["case"], row) for row in found.rows["tests"]]
    found.description = (
        f"Published results, imported, not run here: {STUDY.citation}. Each adversarial set has the strength that the "
        "authors chose for its surrogate. Every number is theirs, known artefacts (below) included."
    )
    found.notes += dumb_artefacts(
        attacks,
        sources_differ=any(case >= "C5" for case, _ in pairs),
        balances_differ=len({row["victim_balance"] for _, row in pairs}) > 1,
        tuned=any(DUMB[attack].unit for attack in attacks),
    )
    if any(DUMB[attack].free for attack in attacks):
        found.notes.append(
            "Attacks that look at no model (blur, noise, ...) were repeated for each surrogate at a strength chosen "
            "for it; the rows are marked as copied, and no interval takes them as independent."
        )
    for task in tasks:
        _say_counts(found, task)
        _say_strengths(found, task)
    found.note_missing()


def _say_counts(found: Imported, task: _Task) -> None:
    known = len(task.counts[1])
    total = known + len(task.uncounted)
    found.said.append(f"{task.name}: counts recovered for {known:,} of {total:,} pairs of image source and victim")
    if task.uncounted:
        text = f"{task.name}: several counts explain the rates, which stay as published without counts: "
        found.notes.append(text + "; ".join(task.uncounted) + ".")
        found.said.append(found.notes[-1])


def _say_strengths(found: Imported, task: _Task) -> None:
    chosen = task.strengths
    if not chosen.compared:
        return
    text = f"{task.name}: choosing again gives the published strength in {chosen.equal:,} of {chosen.compared:,} rows"
    found.said.append(text)
    found.notes.append(f"{text} (highest success among mean SSIM above {THRESHOLD}, ties to the largest).")
    for items, what in (
        (chosen.others, "other strengths than the rule gives"),
        (chosen.stale, "left over from another attack, shown without a strength"),
    ):
        if items:
            found.said.append(f"{task.name}: {what}: {'; '.join(items)}")
            found.notes.append(f"{found.said[-1]}.")
    bare = sorted({key[0] for key in chosen.used if DUMB[key[0]].unit is None})
    if bare:
        numbers = sorted({value for (name, _), value in chosen.used.items() if DUMB[name].unit is None})
        told = ", ".join(f"{number:g}" for number in numbers)
        found.said.append(f"{task.name}: without a strength: {', '.join(bare)}; the files say {told}")
