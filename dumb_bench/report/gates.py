"""The checks that open a report. A failed gate means that the rates below it cannot be trusted as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

Status = Literal["pass", "warn", "fail", "not applicable"]

TOLERANCE = 1e-6
"""How far a crafted norm may exceed its budget: the rounding of float32 images."""
HALF_LEVEL = 0.5 / 255
"""How far rounding to 8 bit may move a value."""
LOSSLESS = frozenset({"uint8", "float32"})
GREEN, AMBER = 0.9, 0.5


class Gate(NamedTuple):
    """One check: a sentence with its figures, and more of them where they help."""

    name: str
    status: Status
    sentence: str
    details: tuple[str, ...] = ()


def gates(results: Results) -> list[Gate]:
    """Return every gate, in the order shown. Intermediate iterates are left out."""
    results = results.final
    return [
        identity(results.tests),
        own_surrogate(results.attacks, results.tests),
        budget(results.attacks),
        delivered(results.attacks),
        healthy(results.models),
        failures(results.failures, len(results.tests)),
        complete(results),
    ]


def identity(tests: pd.DataFrame) -> Gate:
    """Unchanged images fool nobody: n_success is 0 in every identity row under a lossless delivery."""
    name = "Identity: unchanged images"
    rows = tests[tests["attack"] == "identity"]
    exact = rows[rows["delivery"].isin(LOSSLESS)]
    other = rows[~rows["delivery"].isin(LOSSLESS)]
    details = tuple(
        f"{delivery}: {int(part['n_success'].sum())} of {int(part['n_victim_correct'].sum())} images fool a "
        f"victim by the delivery alone."
        for delivery, part in other.groupby("delivery")
    )
    if exact.empty:
        return Gate(name, "not applicable", "The results hold no identity control under a lossless delivery.", details)
    wrong = exact[exact["n_success"] != 0]
    if wrong.empty:
        return Gate(name, "pass", f"Success is 0 in all {len(exact)} tests with unchanged images.", details)
    worst = wrong.iloc[int(wrong["n_success"].to_numpy().argmax())]
    text = (
        f"{len(wrong)} of {len(exact)} tests count unchanged images as success, at most {int(worst['n_success'])} of "
        f"{int(worst['n_victim_correct'])} (victim {worst['victim_id']}): labels or clean predictions are mismatched."
    )
    return Gate(name, "fail", text, details)


def own_surrogate(attacks: pd.DataFrame, tests: pd.DataFrame) -> Gate:
    """Attacks work where they were made: success on the surrogate itself, n_surrogate_fooled / n_surrogate_correct.

    Denominator: the images that the surrogate gets right when clean. Counted: attacks bounded in Linf or L2 that use
    the surrogate, at the largest strength of each pair and norm, controls left out; a surrogate's rate is the mean over
    sources. Pass when the median over surrogates is at least .9 for every attack, warn from .5 on. Defended or sampled
    surrogates can lower the gate to warn, never to fail. Attacks that take no gradient (`backwards` 0) are weak by
    nature at few queries: they are listed, not judged.
    """
    name = "Success on the surrogate itself"
    wanted = (
        attacks["norm"].isin(["linf", "l2"])
        & attacks["surrogate_id"].notna()
        & (attacks["n_surrogate_correct"].fillna(0) > 0)
    )
    rows = attacks[wanted & ~attacks["attack"].isin(["identity", "sign_noise", "delta_swap"])]
    if rows.empty:
        return Gate(name, "not applicable", "The grid has no attack that is bounded in a norm and uses the surrogate.")
    rows = rows[
        rows["strength"].isna()
        | (rows["strength"] == rows.groupby(["attack", "norm", "surrogate_id"])["strength"].transform("max"))
    ]
    undefended = tests[
        (tests["surrogate_defence"].fillna("none") == "none")
        & (tests["surrogate_posterior"].fillna("point") == "point")
    ]
    plain = rows["surrogate_id"].isin(set(undefended["surrogate_id"]))
    status: Status = "pass"
    details: list[str] = []
    middles: dict[bool, list[float]] = {True: [], False: []}
    norms = rows["norm"].nunique()
    for is_plain, part in ((True, rows[plain]), (False, rows[~plain])):
        for (attack, norm), group in part.groupby(["attack", "norm"]):
            ratio = group["n_surrogate_fooled"] / group["n_surrogate_correct"]
            rates = ratio.groupby(group["surrogate_id"]).mean()
            middle = float(rates.median())
            who = "surrogates" if is_plain else "defended or sampled surrogates"
            of_norm = f" ({norm})" if norms > 1 else ""
            strengths = sorted(set(group["strength"].dropna()))
            at = (
                f" at {strengths[0]:.4g}" + (f" to {strengths[-1]:.4g}" if len(strengths) > 1 else "")
                if strengths
                else ""
            )
            judged = _takes_gradients(group)
            details.append(
                f"{attack}{of_norm}{at}: median {middle:.3f}, range {rates.min():.3f} to {rates.max():.3f} over "
                f"{len(rates)} {who}{'' if judged else '; takes no gradient, not judged'}."
            )
            if not judged:
                continue
            if middle < GREEN:
                bad: Status = "fail" if is_plain and middle < AMBER else "warn"
                status = "fail" if "fail" in (status, bad) else "warn"
            middles[is_plain].append(middle)
    if not any(middles.values()):
        text = "No bounded attack takes gradients of its surrogate; what the others reach is listed, not judged."
        return Gate(name, "not applicable", text, tuple(details))
    if not middles[True]:
        return Gate(name, status, "All surrogates are defended or sampled; their rates are listed.", tuple(details))
    kinds = len(middles[True])
    of = "the attack" if kinds == 1 else f"the weakest of {kinds} attacks"
    least = 100 * min(middles[True])
    text = f"At its largest strength {of} fools the median surrogate on {least:.1f} % of the images it gets right."
    return Gate(name, status, text, tuple(details))


def _takes_gradients(sets: pd.DataFrame) -> bool:
    """Return whether sets were crafted with gradients; True where that is not stored."""
    counts = sets["backwards"]
    return bool(counts.isna().any() or (counts > 0).any())


def _bounded(attacks: pd.DataFrame) -> pd.DataFrame:
    return attacks[attacks["norm"].isin(["linf", "l2"]) & attacks["strength"].notna()]


def budget(attacks: pd.DataFrame) -> Gate:
    """Crafted images: per-image norm - strength <= 1e-6, and the budget is reached where that is promised."""
    name = "Budget of crafted images"
    rows = _bounded(attacks)
    if rows.empty:
        return Gate(name, "not applicable", "The results hold no attack that is bounded in a norm.")
    strength = rows["strength"].to_numpy(dtype=np.float64)
    own = np.where(rows["norm"] == "linf", rows["linf"].astype(float), rows["l2"].astype(float))
    known = np.isfinite(own)
    allowed = np.where(rows["norm"] == "linf", TOLERANCE, TOLERANCE * np.maximum(1.0, strength))
    over = known & (own - strength > allowed)
    short = rows[rows["budget_reached"].map(lambda value: value is False or value == 0).astype(bool)]
    details = [
        f"{attack}: its own output left the budget by up to {group['budget_violation'].max():.2g} before projection."
        for attack, group in rows.groupby("attack")
        if group["budget_violation"].max() > TOLERANCE
    ]
    details += [
        f"{attack}: {len(group)} of {int((rows['attack'] == attack).sum())} sets do not reach the budget they promise."
        for attack, group in short.groupby("attack")
    ]
    if over.any():
        excess = float((own - strength)[over].max())
        text = f"{int(over.sum())} of {len(rows)} sets hold images outside their budget, by up to {excess:.2g}."
        return Gate(name, "fail", text, tuple(details))
    if not known.any():
        return Gate(
            name, "warn", "No per-image norms are stored, so that the budget cannot be checked.", tuple(details)
        )
    promised = "" if short.empty else f", but {len(short)} do not reach the budget they promise"
    text = f"All {int(known.sum())} bounded sets stay within their budget to 1e-6{promised}."
    return Gate(name, "pass" if short.empty else "warn", text, tuple(details))


def delivered(attacks: pd.DataFrame) -> Gate:
    """Rounding to 8 bit may add half a level (0.5/255) to a Linf norm; lossy deliveries are only described."""
    name = "Budget as delivered"
    rows = _bounded(attacks)
    rows = rows[rows["norm"] == "linf"]
    excess = rows["linf_delivered"].to_numpy(dtype=np.float64) - rows["strength"].to_numpy(dtype=np.float64)
    if not np.isfinite(excess).any():
        return Gate(name, "not applicable", "No delivered Linf norms are stored.")
    lossless = rows["delivery"].isin(LOSSLESS).to_numpy() & np.isfinite(excess)
    details = tuple(
        f"{delivery}: up to {255 * np.nanmax(part):.2f} levels (of 255) beyond the strength."
        for delivery in sorted(set(rows["delivery"].dropna()))
        if np.isfinite(part := excess[(rows["delivery"] == delivery).to_numpy()]).any()
    )
    if not lossless.any():
        return Gate(name, "not applicable", "Every delivery is lossy; what it adds is listed.", details)
    most = float(excess[lossless].max())
    if most > HALF_LEVEL + TOLERANCE:
        text = f"Delivered images exceed the strength by up to {255 * most:.2f} levels; rounding explains half a level."
        return Gate(name, "fail", text, details)
    return Gate(
        name,
        "pass",
        f"Rounding adds at most {255 * max(most, 0.0):.2f} of 255 levels (half a level is allowed).",
        details,
    )


def healthy(models: pd.DataFrame) -> Gate:
    """No model is degenerate. Denominator of an accuracy: all clean test images of the model's own source."""
    name = "Models"
    if models.empty:
        return Gate(name, "not applicable", "The results hold no models.")
    sick = models[models["degenerate"].notna()]
    accuracy = models["own_accuracy"].dropna()
    low, middle, high = accuracy.min(), accuracy.median(), accuracy.max()
    spread = f" Clean accuracy on the own source: {low:.3f} to {high:.3f}, median {middle:.3f}."
    text = spread if len(accuracy) else ""
    if sick.empty:
        return Gate(name, "pass", f"None of {len(models)} models is degenerate.{text}")
    details = tuple(f"{row.model_id}: {row.degenerate}" for row in sick.head(12).itertuples(index=False))
    return Gate(name, "fail", f"{len(sick)} of {len(models)} models are degenerate.{text}", details)


def failures(failed: pd.DataFrame, tests: int) -> Gate:
    """Units that failed, with their reasons; a failed gate when `tests`, the number of scored tests, is 0."""
    if failed.empty:
        return Gate("Failed units", "pass", "No unit failed.")
    missing = failed["tests_missing"].fillna(0).sum()
    kinds = failed["error_type"].fillna("unknown").value_counts()
    reasons = ", ".join(f"{count} {kind}" for kind, count in kinds.head(5).items())
    text = f"{len(failed)} units failed ({reasons}); {int(missing)} tests are missing because of it."
    return Gate("Failed units", "warn" if tests else "fail", text)


def complete(results: Results) -> Gate:
    """Rows present against rows planned (only where the plan's counts are stored)."""
    name = "Completeness"
    counts = results.meta.counts
    tests = results.tests[results.tests["step"].isna()]
    control = tests["control"].fillna(False).astype(bool)
    present = {"models": len(results.models), "tests": int((~control).sum())}
    known = {key: counts[key] for key in present if key in counts}
    if not known:
        why = "Only a part of the results is looked at, of which nobody counted what was planned."
        text = why if results.meta.part else "The plan's counts are not stored with these results."
        return Gate(name, "not applicable", text)
    text = ", ".join(f"{present[key]:,} of {planned:,} {key}" for key, planned in known.items())
    short = any(present[key] < planned for key, planned in known.items())
    empty = known.get("tests", 0) > 0 and not present["tests"]
    return Gate(name, "fail" if empty else "warn" if short else "pass", f"Present: {text}.")
