"""A user's own checkpoint: read in any float type and naming, identified by its tensors, refused in one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.models.checkpoints import read_checkpoint
from dumb_bench.models.networks import fresh_network
from dumb_bench.models.weights import tensors_sha256
from dumb_bench.posteriors.base import State, state_of
from dumb_bench.spec import ModelSpec, Plugin

SPEC = ModelSpec("digits", Plugin("unknown"), Plugin("small_vgg"), "unknown", Plugin("checkpoint"), 0)


@pytest.fixture
def state() -> State:
    return state_of(fresh_network(SPEC, Catalogue(), seed=4))


def saved(state: State, path: Path) -> Path:
    save_file(dict(state), str(path))
    return path


def test_names_with_and_without_preprocessing_and_the_place_do_not_matter(state: State, tmp_path: Path) -> None:
    whole = read_checkpoint(saved(state, tmp_path / "whole.safetensors"), SPEC, Catalogue())
    inner = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    bare = read_checkpoint(saved(inner, tmp_path / "bare.safetensors"), SPEC, Catalogue())
    assert whole.sha256 == bare.sha256 == tensors_sha256(state)
    assert list(bare.state) == list(state) and all(torch.equal(bare.state[name], state[name]) for name in state)
    other = {**state, "network.1.running_mean": state["network.1.running_mean"] + 1}
    assert read_checkpoint(saved(other, tmp_path / "whole.safetensors"), SPEC, Catalogue()).sha256 != whole.sha256


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(state: State, tmp_path: Path, dtype: torch.dtype) -> None:
    given = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    found = read_checkpoint(saved(given, tmp_path / "m.safetensors"), SPEC, Catalogue()).state
    assert all(found[name].dtype == state[name].dtype for name in state)
    assert all(torch.equal(found[name], given[name].to(state[name].dtype)) for name in state)


def test_a_counter_that_older_files_lack_is_none_of_their_faults(state: State, tmp_path: Path) -> None:
    given = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    assert read_checkpoint(saved(given, tmp_path / "m.safetensors"), SPEC, Catalogue()).state.keys() == state.keys()


def _changed(name: str, value: Callable[[Tensor], Tensor]) -> Callable[[State, Path], Path]:
    return lambda state, path: saved({**state, name: value(state[name])}, path)


def _written(data: Callable[[State], bytes]) -> Callable[[State, Path], Path]:
    def write(state: State, path: Path) -> Path:
        path.write_bytes(data(state))
        return path

    return write


def _torch_saved(state: State, path: Path) -> Path:
    torch.save(state, path)
    return path


def _folder(state: State, path: Path) -> Path:
    path.mkdir()
    return path


def _with_nan(value: Tensor) -> Tensor:
    spoilt = value.clone()
    spoilt.view(-1)[3] = float("nan")
    return spoilt


LAST = "network.19.weight"

WRONG: dict[str, tuple[Callable[[State, Path], Path], str]] = {
    "missing": (lambda state, path: path, "no such file"),
    "folder": (_folder, "is a folder"),
    "torch.save": (_torch_saved, "is a zip archive, as torch.save writes it, which holds pickle, and is not opened"),
    "pickle": (_written(lambda state: pickle.dumps({"a": 1})), "is pickle, and is not opened"),
    "text": (_written(lambda state: b"weights, honestly"), "is no safetensors file"),
    "empty": (_written(lambda state: b""), "is no safetensors file"),
    "lacks": (
        lambda state, path: saved({name: value for name, value in state.items() if "network.19." not in name}, path),
        r"is no checkpoint of small_vgg: lacks 2 tensors \(network.19.weight, network.19.bias\)",
    ),
    "beyond": (
        lambda state, path: saved({**state, "network.extra": torch.ones(2)}, path),
        r"small_vgg does not expect 1 tensors \(network.extra\)",
    ),
    "shape": (_changed("network.0.weight", lambda value: value[:, :1].clone()), "network.0.weight is .*, expected"),
    "classes": (
        lambda state, path: saved(
            {**state, LAST: torch.ones(10, state[LAST].shape[1]), "network.19.bias": torch.ones(10)}, path
        ),
        "has 10 classes .*, the task 'digits' has 2",
    ),
    "nan": (_changed(LAST, _with_nan), f"{LAST} holds NaN or infinite values"),
    "infinite": (_changed("network.1.running_var", lambda value: value / 0), "running_var holds NaN or infinite"),
    "overflow": (_changed(LAST, lambda value: value.double() + 1e300), f"{LAST} holds NaN or infinite values"),
    "whole numbers": (_changed(LAST, lambda value: value.to(torch.int8)), f"{LAST} is int8, expected float16"),
    "float8": (_changed(LAST, lambda value: value.to(torch.float8_e4m3fn)), "is float8_e4m3fn, expected float16"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_checkpoint_is_refused_in_one_line(fault: str, state: State, tmp_path: Path) -> None:
    assert LAST in state
    make, message = WRONG[fault]
    path = make(state, tmp_path / "mine.safetensors")
    with pytest.raises(InputError, match=message) as raised:
        read_checkpoint(path, SPEC, Catalogue())
    assert "\n" not in str(raised.value) and str(raised.value).startswith(str(path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_torn_file_is_refused(share: float, state: State, tmp_path: Path) -> None:
    path = saved(state, tmp_path / "mine.safetensors")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match="is no safetensors file"):
        read_checkpoint(path, SPEC, Catalogue())
