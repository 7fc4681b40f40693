"""What a grid holds, and what it cannot tell: sentences made from its own rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from dumb_bench.power import MIN_SEEDS
from dumb_bench.report.effects import ONE_SEED

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results


class Size(NamedTuple):
    """A count with its name."""

    name: str
    value: str
    note: str = ""


def size(results: Results, tests: pd.DataFrame) -> list[Size]:
    """Return how much is shown: models, surrogates, victims, sets, tests, controls, images, what is missing."""
    attack = tests[tests["role"] == "attack"]
    counts = results.meta.counts
    all_rows = results.tests[results.tests["step"].isna()]
    between = len(results.tests) - len(all_rows)
    sets = int(results.attacks["step"].isna().sum())
    control = all_rows["control"].fillna(False).astype(bool)

    def planned(name: str, present: int) -> str:
        return f"of {counts[name]:,} planned" if name in counts and counts[name] != present else ""

    controls = planned("control_tests", int(control.sum()))
    if controls and len(results.tunings):
        controls = f"at most {counts['control_tests']:,}: noise of one size counts once"
    images = attack["n_images"].dropna()
    per_test = (
        "none"
        if images.empty
        else f"{images.min():.0f}"
        if images.min() == images.max()
        else f"{images.min():.0f} to {images.max():.0f}"
    )
    right = attack["n_victim_correct"]
    infeasible = int((all_rows["strength_rule"] == "infeasible").sum())
    undefined = int((all_rows["asr"].isna()).sum()) - infeasible
    return [
        Size("models", f"{len(results.models):,}", planned("models", len(results.models))),
        Size("surrogates", f"{tests['surrogate_id'].nunique():,}"),
        Size("victims", f"{tests['victim_id'].nunique():,}"),
        Size("adversarial sets", f"{sets:,}", "one a surrogate, attack, strength, image source"),
        Size("tests", f"{int((~control).sum()):,}", planned("tests", int((~control).sum()))),
        Size("control tests", f"{int(control.sum()):,}", controls),
        Size(
            "images a test",
            per_test,
            f"victim right when clean: {right.min():.0f} to {right.max():.0f}" if len(right) else "",
        ),
        Size("left out", f"{undefined:,}", "tests whose victim gets no clean image right"),
        *([Size("intermediate", f"{between:,}", "tests of earlier steps: in the tables, not here")] if between else []),
        *([Size("infeasible", f"{infeasible:,}", "tests for which no strength keeps the SSIM")] if infeasible else []),
        Size("failed units", f"{len(results.failures):,}"),
    ]


def cells(tests: pd.DataFrame) -> list[str]:
    """Return the sentence about image sources, case-less tests and populations: what a mean pools."""
    texts = []
    attack = tests[tests["role"] == "attack"]
    sources = sorted(attack["image_source"].dropna().astype(str).unique())
    both = (attack["image_source"] == attack["surrogate_source"]).mean() if len(attack) else 1.0
    if len(sources) > 1 and 0 < both < 1:
        texts.append(
            f"Test images of {len(sources)} sources were attacked ({', '.join(sources)}), whatever the "
            f"surrogate's own source. Means "
            "pool them with equal weight; the table of effects shows both designs (images of the surrogate's "
            "source, and others)."
        )
    elif len(attack):
        own = "of the surrogate's own source" if both == 1 else f"of {', '.join(sources)}"
        texts.append(f"The test images attacked are {own}.")
    nameless = int((tests["case"].isna()).sum())
    if nameless:
        texts.append(
            f"{nameless:,} tests have no case (a model's source or balance is unknown) and enter no mean by case."
        )
    if tests["population"].nunique() > 1:
        shown = tests.loc[tests["reference"], "population"].iloc[0]
        texts.append(
            f"{tests['population'].nunique()} populations (defence, posterior, delivery, ...) are kept apart. "
            f"Figures and the table of "
            f"effects show one: {shown}. The table of success by case has all."
        )
    return texts


def seeds_per_cell(tests: pd.DataFrame, role: str) -> tuple[int, int]:
    """Return the smallest and largest number of seeds in a cell of a role ."""
    keys = [f"{role}_{key}" for key in ("source", "architecture", "balance", "defence", "posterior")]
    found = tests.groupby(keys, dropna=False)[f"{role}_seed"].nunique()
    return (int(found.min()), int(found.max())) if len(found) else (0, 0)


def cannot_tell(results: Results, tests: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Return what this grid cannot tell, as sentences; the author's notes last."""
    texts = []
    attack = tests[tests["role"] == "attack"]
    if len(attack):
        for role in ("surrogate", "victim"):
            low, high = seeds_per_cell(attack, role)
            count = f"{low}" if low == high else f"{low} to {high}"
            if low < 2:
                texts.append(
                    f"There is {count} seed in a cell of {role}s: whether another training run would give the "
                    f"same is not known, and "
                    "every number is descriptive."
                )
            else:
                texts.append(
                    f"Each cell of {role}s holds {count} seeds; intervals speak about new seeds, nothing else."
                    + (f" With fewer than {MIN_SEEDS} no effect is called resolved." if low < MIN_SEEDS else "")
                )
        reasons = summary.loc[summary["case"] != "WB", "reason"]
        bare = int((reasons.fillna("") != "").sum())
        if bare and not (reasons == ONE_SEED).all():
            texts.append(f"{bare} of {len(reasons)} means by case have no interval.")
    tasks = sorted(tests["task"].dropna().astype(str).unique())
    if len(tasks) == 1:
        texts.append(f"One task ({tasks[0]}): nothing here says that another would behave alike.")
    images = attack["n_images"].dropna()
    if len(images):
        texts.append(
            f"{images.median():.0f} images a test, the same in every test of a source: nothing here speaks about "
            f"new images but the intervals that say so. One test's rate "
            f"near one half has a 95 % interval of about +/- {98 / max(images.median(), 1) ** 0.5:.0f} points."
        )
    models = sorted(set(attack["surrogate_architecture"].dropna()) | set(attack["victim_architecture"].dropna()))
    if models:
        names = ", ".join(map(str, models[:8])) + (", ..." if len(models) > 8 else "")
        texts.append(f"{len(models)} architectures ({names}), chosen, not drawn: no claim about new ones.")
    if len(attack) and not (attack["surrogate_source"] != attack["victim_source"]).any():
        texts.append("Surrogates and victims share one source: C5 to C8 are empty.")
    init = set(attack["victim_init"].dropna()) | set(attack["surrogate_init"].dropna())
    if init - {"random"}:
        texts.append("Models start from stored weights: the same architecture also means the same initial weights.")
    hardware = sorted(set(results.models["hardware"].dropna()) | set(results.attacks["hardware"].dropna()))
    if len(hardware) > 1:
        texts.append(
            f"Made on {len(hardware)} kinds of hardware ({', '.join(hardware[:4])}): labels may differ between "
            f"them in the last bit."
        )
    if results.meta.part:
        texts.append("These tests were chosen after the run: everything is exploratory, whatever was declared.")
    elif results.meta.primary is None:
        texts.append("No primary contrast was declared before the run: everything is exploratory.")
    whose = "Published study" if results.published else "Note of the grid's author"
    return texts + [f"{whose}: {note}" for note in results.meta.notes]


def provenance(results: Results) -> list[tuple[str, str]]:
    """Return versions, hardware and times as (name, value) pairs."""
    pairs: list[tuple[str, str]] = []
    if results.published:
        studies = sorted(set(results.tests["attack_library"].dropna()))
        pairs.append(("origin", f"imported, not run here; {'; '.join(studies)}"))
    for name, frame in (("models", results.models), ("attacks", results.attacks)):
        merged: dict[str, set[str]] = {}
        for text in sorted(set(frame["library_versions"].dropna())):
            try:
                found = json.loads(text)
            except ValueError:
                continue
            for key, value in found.items() if isinstance(found, dict) else ():
                merged.setdefault(str(key), set()).add(str(value))
        versions = ", ".join(f"{key} {' / '.join(sorted(values))}" for key, values in sorted(merged.items()))
        times = frame["finished_at"].dropna()
        seconds = frame["seconds"].fillna(0).sum()
        pairs.append((f"{name}: libraries", versions or "not recorded"))
        pairs.append((f"{name}: hardware", ", ".join(sorted(set(frame["hardware"].dropna()))) or "not recorded"))
        pairs.append((f"{name}: finished", f"{times.min()} to {times.max()} (UTC)" if len(times) else "not recorded"))
        spent = f"{seconds:,.0f} s, summed over rows" if frame["seconds"].notna().any() else "not recorded"
        pairs.append((f"{name}: time spent", spent))
    return pairs
