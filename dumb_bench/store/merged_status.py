"""What a merged result folder holds: told from its own tables, since no store holds all of its rows."""

from __future__ import annotations

from typing import Any

from dumb_bench.store.results import ResultFolder

MERGED = "merged"
"""The key of a plan that says: rows of several grids, from result folders that were merged."""

FAILED = ("unit", "kind", "error_type", "message", "attempts", "tests_missing")
"""What the status says of a failed unit."""


def merged_status(folder: ResultFolder, plan: dict[str, Any]) -> dict[str, Any]:
    """Return what `status.read_status` does; planned is what the grids planned together, counted once where present."""
    rows, counts = folder.rows(), plan.get("counts") or {}
    return {
        "name": plan["name"],
        "tests": sum(int(counts.get(key, 0)) for key in ("tests", "step_tests", "control_tests")),
        "tests_done": rows.get("tests", 0),
        "models": int(counts.get("models", 0)),
        "models_done": rows.get("models", 0),
        "running": [],
        "failed": [
            {key: row[key] for key in FAILED} for row in folder.read_table("failures", list(FAILED)).to_pylist()
        ],
        "last_event": None,
    }
