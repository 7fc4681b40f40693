"""Seeds derived from what is computed, never from order, worker or time."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: str | int) -> int:
    """Return a seed in [0, 2**63) that depends on the parts alone.

    Parts are joined with a separator that no part can hold unescaped, so `("a", "b")` and `("ab",)` differ.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
