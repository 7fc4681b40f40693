"""Decoded images kept beside the data: decoded once, mapped into memory and so shared by all processes of a machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dumb_bench.data.base import Listed
from dumb_bench.errors import InputError

FOLDER = ".decoded"
"""Below the folder of the data. It may be deleted at any time."""


def stored(
    listed: Listed,
    shape: tuple[int, ...],
    rule: str,
    decode: Callable[[npt.NDArray[np.uint8]], None],
    keep: Path | None,
) -> npt.NDArray[np.uint8]:
    """Return the images (N, C, H, W) of a list of files: those kept, else decoded now, by `decode` into an array.

    A kept array is named by the sha256 of all files' content, the shape and the rule, so what has changed is decoded
    again. keep: the folder of the data where it may be written to; None: what is there is used, nothing is written.

    Raises:
        InputError: a file cannot be read.
    """
    path = listed.root / FOLDER / f"{_key(listed, shape, rule)}.npy"
    kept = _mapped(path, shape)
    if kept is None and keep is not None and _written(path, shape, decode):
        kept = _mapped(path, shape)
    if kept is None:
        kept = np.empty(shape, np.uint8)
        decode(kept)
    return kept


def _key(listed: Listed, shape: tuple[int, ...], rule: str) -> str:
    found = hashlib.sha256(f"{shape}|{rule}".encode())
    for path in listed.paths:
        try:
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"{listed.shown(path)}: cannot be read ({error.strerror})") from None
    return found.hexdigest()


def _mapped(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
    with contextlib.suppress(OSError, ValueError, EOFError):
        found = np.load(path, mmap_mode="r")
        if found.shape == shape and found.dtype == np.uint8:
            return np.asarray(found)
    return None


def _written(path: Path, shape: tuple[int, ...], decode: Callable[[npt.NDArray[np.uint8]], None]) -> bool:
    """Write a kept array, all of it or nothing; return whether it could be written.

    Raises:
        InputError: of `decode`.
    """
    temporary = handle = None
    try:
        path.parent.mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        os.fchmod(handle, 0o644)
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a crash when mapped pages are written
            os.posix_fallocate(handle, 0, os.fstat(handle).st_size)
        decode(array)
        array.flush()
        os.replace(temporary, path)
        temporary = None
    except OSError:
        return False
    finally:
        if handle is not None:
            os.close(handle)
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return True
