"""`import bnn`: the result files of Gubri et al. (UAI 2022) as results of this package."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from dumb_bench.published.attacks import Known, gradient_attack
from dumb_bench.published.bnn_files import Result, Setting, read_settings
from dumb_bench.published.bnn_models import epochs_of, surrogate_of, victim_of
from dumb_bench.published.records import Imported, Made, Outcome, model_row, published
from dumb_bench.published.studies import BNN as STUDY
from dumb_bench.published.studies import bnn_artefacts
from dumb_bench.spec import ModelSpec

_NORMS = {"2": "l2", "inf": "linf"}


def read_bnn(folder: Path) -> Imported:
    """Return what a folder of the authors' result files holds.

    A row that repeats the surrogate, attack and victim of an earlier one and says something else is another run of the
    same experiment: it is kept apart by its `attack_seed` (0, 1, ...). One that another file holds as well, equal but
    for the time, is taken once.

    Raises:
        InputError: nothing can be imported, or a row is malformed.
    """
    found = Imported(STUDY)
    settings = read_settings(folder)
    made: dict[str, tuple[Made, dict[str, ModelSpec]]] = {}
    padded: dict[str, str] = {}
    for setting in settings:
        _add_setting(found, setting, made, padded)
        found.missing += setting.missing
    found.sets = [(item, tuple(victims)) for item, victims in made.values()]
    _describe(found, padded, sum(setting.repeated for setting in settings))
    return found


def attack_of(row: Result) -> Known:
    """Return the attack of a row. Averaging some of the samples, neither one nor all, is named in its parameters."""
    known = gradient_attack(
        norm=_NORMS[row.norm_type], steps=row.n_iter, step=float(f"{row.norm_step / row.norm_max:.6g}"),
        decay=row.momentum, restarts=row.n_random_init, diverse=row.input_diversity,
        translated=row.translation_invariant,
    )  # fmt: skip
    if 1 < row.n_ensemble < row.surrogate_size_ensembles:
        return known._replace(params={**known.params, "samples_averaged": row.n_ensemble})
    return known


def _add_setting(
    found: Imported, setting: Setting, made: dict[str, tuple[Made, dict[str, ModelSpec]]], padded: dict[str, str]
) -> None:
    seen: Counter[tuple[str, str, bool | None]] = Counter()
    for item in setting.rows:
        row = item.row
        surrogate, victim = surrogate_of(setting.dataset, row), victim_of(setting.dataset, row)
        source = published(setting.dataset.lower())
        once = Made(STUDY, surrogate, attack_of(row), row.norm_max, source)
        key = (once.set_id + repr(row.norm_max), victim.id, row.shuffle)
        this = Made(STUDY, surrogate, once.attack, row.norm_max, source, seed=seen[key])
        seen[key] += 1
        if this.attack_id not in made:
            made[this.attack_id] = (this, {})
            found.rows["attacks"].append(this.attack_row(**_measured(row)))
        made[this.attack_id][1][victim.id] = victim
        fooled = _measured(row)["n_surrogate_fooled"]
        found.rows["tests"].append(this.test_row(victim, _outcome(row), fooled))
        right = row.counted(row.target_acc_original_ex)
        if right is not None and right < row.nb_adv:
            padded[victim.id] = f"{victim.architecture.label}: {row.nb_adv - right:,} of {row.nb_adv:,}"
        _add_model(found, surrogate.models[0], epochs=epochs_of(setting.dataset, row))
        tested = {} if row.target_acc_original_ex is None else _accuracy(victim, row.target_acc_original_ex)
        _add_model(found, victim, **tested)


def _outcome(row: Result) -> Outcome:
    """All `nb_adv` images count, as published; how many the victim gets right when clean stands beside."""
    success = row.counted(row.adv_sucess_rate)
    assert success is not None
    raw = row.counted(row.target_acc_original_ex)
    return Outcome(row.nb_adv, row.nb_adv, success, success / row.nb_adv, n_victim_correct_raw=raw)


def _measured(row: Result) -> dict[str, Any]:
    """Return what a row says of the images themselves. n_surrogate_fooled: at least so many."""
    right, after = (row.counted(rate) for rate in (row.surrogate_acc_original_ex, row.surrogate_acc_adv_ex))
    norm = {"inf": "mean_linf", "2": "mean_l2"}[row.norm_type]
    passes = row.nb_adv * row.n_iter * row.n_ensemble * max(1, row.n_random_init)
    return {
        "n_images": row.nb_adv, norm: row.adv_norm_mean, "seconds": row.time, "forwards": passes, "backwards": passes,
        "budget_violation": None if row.adv_norm_max is None else max(0.0, row.adv_norm_max - row.norm_max),
        "n_surrogate_correct": right,
        "n_surrogate_fooled": None if right is None or after is None else max(0, right - after),
    }  # fmt: skip


def _accuracy(victim: ModelSpec, accuracy: float) -> dict[str, Any]:
    return {
        "test_source": [victim.source.label], "test_delivery": [STUDY.delivery], "clean_accuracy": [accuracy],
        "own_accuracy": accuracy,
    }  # fmt: skip


def _add_model(found: Imported, model: ModelSpec, **known: Any) -> None:
    if model.id not in found.models:
        found.models[model.id] = model
        found.rows["models"].append(model_row(model, **known))


def _describe(found: Imported, padded: dict[str, str], repeated: int) -> None:
    tests = found.rows["tests"]
    kinds = {row["surrogate_posterior"].partition("(")[0] for row in tests}
    single = bool(kinds & {"point", "deep_ensemble"})
    found.description = (
        f"Published results, imported, not run here: {STUDY.citation}. Light attacks use one sample an iteration "
        "(cycle), full ones all of them (mean_logits). Every number is theirs, known artefacts (below) included."
    )
    found.notes += bnn_artefacts(sorted(set(padded.values())), single=single, chain="csgld" in kinds)
    if padded:
        found.notes.append(
            "n_victim_correct is the number of images that the published rate counts; n_victim_correct_raw those that "
            "the victim gets right when clean."
        )
    found.notes.append(
        "Success on the surrogate is the fall of its published accuracy, the least that it can be: which images are "
        "meant was not published."
    )
    again = sum(row["attack_seed"] > 0 for row in tests)
    if again:
        line = f"{again:,} rows are second runs of the same experiment, kept apart by attack_seed"
        found.said.append(line)
        found.notes.append(f"{line}; the posterior section averages them before anything else.")
    if repeated:
        line = f"{repeated:,} rows stand in two files, equal but for the time; taken once"
        found.said.append(line)
        found.notes.append(f"{line}.")
    found.note_missing()
