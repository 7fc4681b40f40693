"""How the rows of each table are sorted, and in which columns two runs of one grid may differ."""

from __future__ import annotations

SORT_KEYS: dict[str, tuple[str, ...]] = {
    "images": ("unit_key", "index"),
    "models": ("model_id",),
    "clean": ("model_id", "test_set"),
    "attacks": ("attack_id",),
    "tunings": ("tuning_id",),
    "tests": ("test_id",),
    "predictions": ("test_id",),
    "failures": ("unit_key",),
}

VOLATILE: dict[str, tuple[str, ...]] = {
    "images": (),
    "models": ("seconds", "host", "finished_at", "hardware", "unit_key"),
    "clean": ("unit_key",),
    "attacks": ("seconds", "host", "finished_at", "hardware", "unit_key"),
    "tunings": ("seconds", "host", "finished_at", "hardware", "unit_key"),
    "tests": ("unit_key", "scoring_batch"),
    "predictions": (),
    "failures": ("host", "finished_at", "traceback"),
}
"""Columns that may differ between two runs of one grid (times, hosts, which unit happened to make a row, a batch cut
because memory ran out)."""
