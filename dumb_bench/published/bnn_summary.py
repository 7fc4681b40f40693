"""What `import bnn` prints: success as published, and T-DEE from the curve of deep ensembles."""

from __future__ import annotations

from collections import defaultdict

from dumb_bench.published.records import Columns, Imported

_HOW = {"cycle": "light (cycle)", "mean_logits": "full (mean_logits)"}


def _surrogate(row: Columns) -> tuple[str, int]:
    modifier = "" if row["surrogate_modifier"] == "none" else f" + {row['surrogate_modifier']}"
    return f"{row['surrogate_posterior'].partition('(')[0]}{modifier}", row["surrogate_samples"]


def success_lines(found: Imported) -> list[str]:
    """Return success by victim, attack, norm, light or full, and surrogate; second runs beside the first."""
    groups: dict[tuple[str, ...], dict[tuple[str, int], list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in found.rows["tests"]:
        single = row["surrogate_samples"] == 1
        how = "one network" if single else _HOW[row["surrogate_aggregation"]]
        key: tuple[str, ...] = (
            row["task"], row["surrogate_architecture"], row["victim_architecture"], row["attack"],
            f"{row['norm']} {row['strength']:g}", how,
        )  # fmt: skip
        groups[key][_surrogate(row)].append(f"{row['asr']:.4f}")
    lines = []
    head: tuple[str, ...] = ()
    for key in sorted(groups):
        if key[:3] != head:
            head = key[:3]
            lines.append(f"{head[0]}: made on {head[1]}, success on {head[2]}, over all images that were counted")
        rates = ", ".join(f"{name} {size}: {' / '.join(rate)}" for (name, size), rate in sorted(groups[key].items()))
        lines.append(f"  {key[3]} {key[4]}, {key[5]}: {rates}")
    return lines


def equivalents_of(results: str) -> list[str]:
    """Return T-DEE of every surrogate that is no deep ensemble, as the report computes it from the result folder."""
    from dumb_bench.report.equivalents import equivalents
    from dumb_bench.report.load import load
    from dumb_bench.report.posteriors import has_posteriors, observations

    loaded = load(results)
    if not has_posteriors(loaded.tests):
        return []
    rows = equivalents(observations(loaded))
    own = rows[~rows["posterior"].str.startswith(("deep_ensemble", "point"))]
    if own.empty:
        return ["T-DEE: none (it needs deep ensembles of two sizes, attacked alike)"]
    lines = ["T-DEE: how many networks trained apart do as well"]
    for row in own.to_dict("records"):
        name = f"{str(row['posterior']).partition('(')[0]} {row['samples']:.0f}"
        place = f"{row['population']}, " if row["population"] else ""
        lines.append(
            f"  {place}{row['label']}, {row['relation']}, {_HOW.get(row['aggregation'], row['aggregation'])}: "
            f"{name} {row['rate']:.4f} = {row['tdee_text']} of sizes {row['members']}"
        )
    return lines
