"""Where training starts: weights drawn by a seed, or named ones from a file that is pinned by its sha256."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from torch import nn

from dumb_bench.architectures.base import ArchitectureInfo, NamedWeights, Preprocessed, head_of
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError, unknown
from dumb_bench.models.weights import tensors_sha256
from dumb_bench.spec import UNKNOWN, ModelSpec

FOLDER = "weights"
"""Below the folder that `--data` names."""

SHARED = re.compile(r"shared_\d{1,6}")
"""`shared_0`: weights drawn by this number in place of the model's seed, the same for all models of an architecture."""

_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


class Started(NamedTuple):
    """Named weights that a network was given. file: its name. sha256: of its tensors (`weights.tensors_sha256`)."""

    init: str
    file: str
    sha256: str


def named_weights(spec: ModelSpec, catalogue: Catalogue) -> NamedWeights | None:
    """Return the named weights that a model starts from; None where they are drawn, or nothing is known of them.

    Raises:
        InputError: the architecture has no weights of that name.
    """
    if spec.init == "random" or SHARED.fullmatch(spec.init) or (spec.checkpoint and spec.init == UNKNOWN):
        return None
    info: ArchitectureInfo = catalogue.get("architectures", spec.architecture.name).info
    if spec.init not in info.inits:
        names = ["random", "shared_0", *info.inits]
        raise InputError(f"architecture {spec.architecture.name!r}: {unknown('init', spec.init, names)}")
    return info.inits[spec.init]


def file_of(weights: NamedWeights, catalogue: Catalogue) -> Path:
    """Return where the file of named weights lies, or would."""
    return catalogue.data.root.absolute() / FOLDER / weights.url.rpartition("/")[2]


def fetched(spec: ModelSpec, catalogue: Catalogue) -> Path | None:
    """Return the verified file of a model's named weights, downloaded if it is missing; None where there are none.

    Raises:
        InputError: it cannot be had, or its sha256 is not the one that its name says.
    """
    weights = named_weights(spec, catalogue)
    if weights is None:
        return None
    path = file_of(weights, catalogue)
    what = f"init {spec.init!r} of architecture {spec.architecture.name!r}"
    pinned = _HASH.search(path.name)
    if pinned is None:
        raise InputError(f"{what}: {path.name}: expected a file name that ends in its sha256, as in name-0123abcd.pth")
    if not path.is_file():
        if not catalogue.data.download:
            raise InputError(
                f"{what}: {path} is missing; `dumb-bench fetch GRID --data DIR` gets it from {weights.url}"
            )
        _download(weights.url, path, pinned[1], what)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if not found.startswith(pinned[1]):
        raise InputError(f"{what}: {path}: its sha256 begins with {found[:8]}, expected {pinned[1]}; delete it")
    return path


def _download(url: str, path: Path, prefix: str, what: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), prefix, progress=True)
    except (OSError, RuntimeError, URLError) as error:
        raise InputError(f"{what}: {url} cannot be downloaded ({error})") from None


def start(network: nn.Module, spec: ModelSpec, catalogue: Catalogue) -> Started | None:
    """Give a fresh network the named weights that its model starts from; None, and no change, where they are drawn.

    All but the last layer, which stays as it was drawn unless the file's has the same shape.

    Raises:
        InputError: the file cannot be had, or does not fit the network.
    """
    weights = named_weights(spec, catalogue)
    path = fetched(spec, catalogue)
    if weights is None or path is None:
        return None
    given = dict(weights.read(path))
    inner = network.network if isinstance(network, Preprocessed) else network
    own, head = inner.state_dict(), head_of(inner)
    what = f"init {spec.init!r} of architecture {spec.architecture.label!r}: {path.name}"
    kept = [name for name in own if name.startswith(f"{head}.") and _differs(own, given, name)]
    lacking = [name for name in own if name not in given and name not in kept and not name.endswith(_COUNTER)]
    other = [name for name in own if name in given and name not in kept and _differs(own, given, name)]
    if lacking or other:
        faults = [*(f"lacks {name}" for name in lacking[:3]), *(f"has {name} of another shape" for name in other[:3])]
        raise InputError(f"{what}: does not fit: {', '.join(faults)}")
    taken = {name: given[name] for name in own if name in given and name not in kept}
    inner.load_state_dict({**own, **taken})
    return Started(spec.init, path.name, tensors_sha256(given))


_COUNTER = "num_batches_tracked"
"""BatchNorm's counter: files older than it lack it, and nothing depends on it here."""


def _differs(own: dict[str, torch.Tensor], given: dict[str, torch.Tensor], name: str) -> bool:
    return name not in given or own[name].shape != given[name].shape
