"""The eight cases of the DUMB attacker model (Alecci et al., RAID 2023, table 1)."""

from __future__ import annotations

CASES = ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8")

CASE_MEANING = {
    "C1": "nothing differs",
    "C2": "balance",
    "C3": "architecture",
    "C4": "architecture + balance",
    "C5": "source",
    "C6": "source + balance",
    "C7": "source + architecture",
    "C8": "source + architecture + balance",
}


def case_of(*, source_differs: bool, architecture_differs: bool, balance_differs: bool) -> str:
    """Return `C1` .. `C8`: 1 + 4 [source differs] + 2 [architecture differs] + [balance differs]."""
    return f"C{1 + 4 * source_differs + 2 * architecture_differs + balance_differs}"
