"""Imported results of others: which checks can say something about them, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dumb_bench.report.gates import Gate

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from dumb_bench.report.load import Results

_MADE_BY_OTHERS = " As published: what the study's own artefacts (below) cost is in this figure."


def as_published(gates: list[Gate], results: Results) -> list[Gate]:
    """Return the gates of imported results: one that needs what was never published is not applicable."""
    return [_judged(gate, results) for gate in gates] if results.published else gates


def _judged(gate: Gate, results: Results) -> Gate:
    if gate.name == "Success on the surrogate itself":
        if gate.status == "not applicable":
            return gate._replace(sentence="The study publishes no success on the surrogate itself.")
        return gate._replace(
            sentence=gate.sentence.replace("At its largest strength", "At the strength used") + _MADE_BY_OTHERS
        )
    if gate.name == "Budget of crafted images" and not _any_lists(results.attacks):
        return gate._replace(status="not applicable", sentence="Norms of single images were never published.")
    if gate.name == "Models" and gate.status == "pass":
        return gate._replace(status="not applicable", sentence=_models(results.models))
    if gate.name == "Failed units":
        return gate._replace(status="not applicable", sentence="The study says nothing of runs that failed.")
    return gate


def _any_lists(attacks: pd.DataFrame) -> bool:
    return bool(attacks[["linf", "l2"]].notna().any().any())


def _models(models: pd.DataFrame) -> str:
    """Say what was published of the models: accuracy or F1 on clean images of the own source."""
    text = "Clean predictions were never published, so that a degenerate model cannot be told."
    accuracy = models["own_accuracy"].dropna().to_numpy()
    f1 = _own(models)
    if len(accuracy):
        return f"{text} Clean accuracy on the own source: {_range(accuracy)} ({len(accuracy)} of {len(models)} models)."
    return f"{text} Clean F1 on the own source: {_range(f1)} ({len(f1)} models)." if len(f1) else text


def _range(values: NDArray[np.float64]) -> str:
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low} to {high}"


def _own(models: pd.DataFrame) -> NDArray[np.float64]:
    import numpy as np

    found = []
    for source, tested, f1 in models[["source", "test_source", "clean_f1"]].itertuples(index=False):
        if tested is not None and f1 is not None:
            found += [value for name, value in zip(tested, f1, strict=True) if name == source]
    return np.asarray(found, dtype=np.float64)
