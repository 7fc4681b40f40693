"""Small JSON documents that carry the sha256 of their own content, so that no altered bit is ever believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from dumb_bench.errors import DamagedFileError
from dumb_bench.spec import to_json

SEAL = "seal"


def seal(document: Mapping[str, Any]) -> bytes:
    """Return a document as readable JSON with its seal.

    Raises:
        TypeError, ValueError: it holds something that is not plain JSON data (NaN, an object).
    """
    if SEAL in document:
        raise ValueError(f"{SEAL!r} is reserved in stored documents")
    content = to_json(document)
    return json.dumps({**json.loads(content), SEAL: _hash(content)}, indent=1, sort_keys=True).encode()


def unseal(path: str, data: bytes) -> dict[str, Any]:
    """Return the document read from `path`, without its seal.

    Raises:
        DamagedFileError: it is not JSON, or its content is not what was sealed.
    """
    try:
        document = json.loads(data)
        found = document.pop(SEAL)
        intact = found == _hash(to_json(document))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedFileError(path, f"not a sealed document ({type(error).__name__})") from error
    if not intact:
        raise DamagedFileError(path, "the content differs from its seal (sha256)")
    return dict(document)


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
