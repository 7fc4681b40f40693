import json

import pytest
import torch
from safetensors.torch import load, save

from dumb_bench.errors import DamagedFileError
from dumb_bench.models.weights import from_bytes, from_file, to_bytes
from dumb_bench.posteriors.base import WeightSamples


def samples(count=11, kind="samples"):
    states = tuple(
        {"layer.weight": torch.full((2, 3), float(number)), "layer.steps": torch.tensor(number)}
        for number in range(count)
    )
    return WeightSamples(states, kind)


@pytest.mark.parametrize(("count", "kind"), [(1, "samples"), (11, "samples"), (1, "dropout"), (2, "gaussian")])
def test_round_trip(count, kind):
    back = from_bytes(to_bytes(samples(count, kind)))
    assert (back.kind, len(back.states)) == (kind, count)
    for found, expected in zip(back.states, samples(count).states, strict=True):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value) and found[name].dtype == value.dtype


def test_the_format_is_safetensors_with_numbered_names():
    data = to_bytes(samples(2))
    assert set(load(data)) == {"0/layer.weight", "0/layer.steps", "1/layer.weight", "1/layer.steps"}
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"] == {"kind": "samples"}


def test_equal_samples_give_equal_bytes_whatever_the_order_of_names():
    turned = WeightSamples(tuple(dict(reversed(state.items())) for state in samples().states))
    assert to_bytes(turned) == to_bytes(samples()) == to_bytes(from_bytes(to_bytes(samples())))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04]q\x00.",
        to_bytes(samples())[:-1],
        to_bytes(samples())[:40],
        save({"0/a": torch.zeros(1)}),
        save({"0/a": torch.zeros(1)}, metadata={"kind": "other"}),
        save({"a": torch.zeros(1)}, metadata={"kind": "samples"}),
        save({"1/a": torch.zeros(1)}, metadata={"kind": "samples"}),
        save({}, metadata={"kind": "samples"}),
    ],
)
def test_anything_else_is_damaged(data, tmp_path):
    with pytest.raises(DamagedFileError, match="weights: no weight samples"):
        from_bytes(data)
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(DamagedFileError, match="weights: no weight samples"):
        from_file(tmp_path / "file")


def test_a_file_is_the_same_as_its_bytes_and_stays_as_it_is(tmp_path):
    data = to_bytes(samples(2))
    path = tmp_path / "file"
    path.write_bytes(data)
    one, other = from_bytes(data), from_file(path)
    assert one.kind == other.kind and len(one.states) == len(other.states) == 2
    for state, mapped in zip(one.states, other.states, strict=True):
        assert state.keys() == mapped.keys()
        for name, tensor in state.items():
            assert torch.equal(tensor, mapped[name]) and tensor.dtype == mapped[name].dtype
            mapped[name].zero_()
    assert path.read_bytes() == data
    with pytest.raises(FileNotFoundError):
        from_file(tmp_path / "other")
