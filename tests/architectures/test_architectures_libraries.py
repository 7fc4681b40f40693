"""torchvision's and timm's networks by name, and the initial weights they offer."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from dumb_bench.architectures.base import NamedWeights, Preprocessed, head_of
from dumb_bench.architectures.library import read_tensors
from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.errors import InputError
from dumb_bench.models.initial import fetched, file_of, start
from dumb_bench.models.networks import fresh_network
from dumb_bench.models.training import _seed
from dumb_bench.models.weights import tensors_sha256
from dumb_bench.plugin_kinds import ALIASES
from dumb_bench.spec import ModelSpec, Plugin

SHAPE = (3, 32, 32)


def model(architecture: str, init: str = "random", side: int = 32, seed: int = 0) -> ModelSpec:
    plugin = Catalogue().resolve("architectures", architecture, {"side": side})
    return ModelSpec("digits", Plugin("optdigits"), plugin, "50/50", Plugin("small"), seed, init=init)


@pytest.mark.parametrize("name", ["torchvision.shufflenet_v2_x0_5", "torchvision.squeezenet1_1", "timm.resnet18"])
def test_a_network_is_the_library_s_behind_resizing_and_normalisation(name: str) -> None:
    images = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(1))
    network = Catalogue().get("architectures", name).call(5, SHAPE, side=64).eval()
    larger = nn.functional.interpolate(images, size=(64, 64), mode="bilinear", align_corners=False, antialias=True)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
    with torch.no_grad():
        assert torch.equal(network(images), network.network((larger - mean) / std))
    seen = images.clone().requires_grad_()
    logits = network(seen)
    assert logits.shape == (2, 5)
    (gradient,) = torch.autograd.grad(logits.sum(), seen)
    assert gradient.shape == images.shape and bool(gradient.isfinite().all()) and bool((gradient != 0).any())


def test_normalisation_is_that_of_the_published_weights() -> None:
    call = Catalogue().get("architectures", "torchvision.efficientnet_v2_l").call
    assert (call.mean, call.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    own = Catalogue().get("architectures", "torchvision.squeezenet1_1").call(2, SHAPE, side=64, mean=(0.1, 0.2, 0.3))
    assert own.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_a_short_name_is_the_long_one() -> None:
    catalogue = Catalogue()
    short, long = (
        catalogue.resolve("architectures", name, {"side": 224}) for name in ("resnet18", "torchvision.resnet18")
    )
    assert short == long and short.label == "torchvision.resnet18"
    assert not set(ALIASES["architectures"]) & set(catalogue.names("architectures"))
    assert all(catalogue.get("architectures", name).info.inits["imagenet1k_v1"] for name in ALIASES["architectures"])


@pytest.mark.parametrize(
    ("name", "params", "shape", "message"),
    [
        ("torchvision.resnet19", {}, SHAPE, "Did you mean 'resnet1"),
        ("torchvision.mnasnet1_0", {}, SHAPE, "cannot be used"),
        ("timm.resnet18.a1_in1k", {}, SHAPE, "init = 'a1_in1k'"),
        ("timm.no_such_network", {}, SHAPE, "unknown timm architecture"),
        ("resnet18", {}, (1, 28, 28), "takes images of 3 channels, those of the task have 1"),
        ("alexnet", {"side": 0}, SHAPE, "takes no images of 32 px"),
        ("resnet18", {"std": (0.1, 0.0, 0.1)}, SHAPE, "above 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_a_line(
    name: str, params: dict[str, object], shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        Catalogue().get("architectures", name).call(2, shape, **params)
    assert "\n" not in str(raised.value)


def test_without_timm_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"timm is not installed; pip install 'dumb-bench\[timm\]'"):
        Catalogue().get("architectures", "timm.resnet18")
    assert Catalogue().knows("architectures", "timm.resnet18")


# --- named initial weights: a file in the real format stands where the download would be


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Catalogue, Path, dict[str, torch.Tensor]]:
    """`imagenet1k_v1` of squeezenet1_1: an untrained network of 1,000 classes, pinned by the sha256 of its file."""
    catalogue = Catalogue(data=DataPlace(tmp_path, download=False))
    entry = catalogue.get("architectures", "torchvision.squeezenet1_1")
    torch.manual_seed(7)
    state = entry.call(1000, SHAPE, side=32).network.state_dict()
    torch.save(state, tmp_path / "plain.pth")
    sha256 = hashlib.sha256((tmp_path / "plain.pth").read_bytes()).hexdigest()
    path = tmp_path / "weights" / f"squeezenet1_1-{sha256[:8]}.pth"
    path.parent.mkdir()
    (tmp_path / "plain.pth").rename(path)
    offered = entry.info.inits["imagenet1k_v1"]._replace(url=f"https://example.org/{path.name}")
    monkeypatch.setitem(entry.info.inits, "imagenet1k_v1", offered)
    return catalogue, path, state


def test_named_weights_fill_all_but_the_last_layer(
    published: tuple[Catalogue, Path, dict[str, torch.Tensor]],
) -> None:
    catalogue, path, state = published
    spec = model("torchvision.squeezenet1_1", "imagenet1k_v1")
    network = fresh_network(spec, catalogue, seed=3)
    drawn = {name: value.clone() for name, value in network.state_dict().items()}
    started = start(network, spec, catalogue)
    assert started == ("imagenet1k_v1", path.name, tensors_sha256(state))
    assert isinstance(network, Preprocessed) and head_of(network) == "network.classifier.1"
    for name, value in network.state_dict().items():
        inner = name.removeprefix("network.")
        expected = drawn[name] if inner.startswith("classifier.1.") or inner == name else state[inner]
        assert torch.equal(value, expected), name


def test_a_missing_a_torn_and_an_unknown_file_are_refused(
    published: tuple[Catalogue, Path, dict[str, torch.Tensor]],
) -> None:
    catalogue, path, _ = published
    spec = model("torchvision.squeezenet1_1", "imagenet1k_v1")
    assert fetched(spec, catalogue) == path
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match="its sha256 begins with"):
        fetched(spec, catalogue)
    path.unlink()
    with pytest.raises(InputError, match="is missing; `dumb-bench fetch GRID --data DIR`"):
        fetched(spec, catalogue)
    with pytest.raises(InputError, match="unknown init 'imagenet1k_v9'"):
        fetched(model("torchvision.squeezenet1_1", "imagenet1k_v9"), catalogue)
    with pytest.raises(InputError, match=r"unknown init 'imagenet1k_v1'\. Available: random, shared_0"):
        fetched(ModelSpec("digits", Plugin("optdigits"), Plugin("small_vgg"), "50/50", Plugin("small"), 0,
                          init="imagenet1k_v1"), catalogue)  # fmt: skip


def test_a_download_goes_through_its_sha256(
    published: tuple[Catalogue, Path, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue, path, _ = published
    online = Catalogue(data=DataPlace(catalogue.data.root, download=True))
    entry = online.get("architectures", "torchvision.squeezenet1_1")
    kept = path.rename(path.with_name("elsewhere.pth"))
    offered = NamedWeights(kept.as_uri().replace("elsewhere", path.stem), entry.info.inits["imagenet1k_v1"].read)
    monkeypatch.setitem(entry.info.inits, "imagenet1k_v1", offered)
    spec = model("torchvision.squeezenet1_1", "imagenet1k_v1")
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetched(spec, online)
    source = kept.rename(kept.parent.parent / path.name)
    monkeypatch.setitem(entry.info.inits, "imagenet1k_v1", offered._replace(url=source.as_uri()))
    assert fetched(spec, online) == file_of(offered, online) == path


def test_a_pickle_that_is_more_than_tensors_is_not_loaded(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(ran),)

    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="no weights can be read"):
        read_tensors(tmp_path / "trap.pth")
    assert not ran.exists()


def test_published_names_of_older_files_are_today_s(tmp_path: Path) -> None:
    torch.save(
        {"features.denseblock1.denselayer1.norm.1.weight": torch.ones(1), "AuxLogits.fc.bias": torch.ones(1)},
        tmp_path / "old.pth",
    )
    read = Catalogue().get("architectures", "densenet121").info.inits["imagenet1k_v1"].read
    assert list(read(tmp_path / "old.pth")) == ["features.denseblock1.denselayer1.norm1.weight"]


def test_a_shared_number_draws_the_same_weights_for_every_seed_and_half() -> None:
    catalogue = Catalogue()
    specs = [
        ModelSpec("digits", Plugin("optdigits"), Plugin("small_vgg"), "50/50", Plugin("small"), seed, subset, init)
        for seed, subset, init in ((0, "half_a", "shared_0"), (9, "half_b", "shared_0"), (0, "half_a", "shared_1"))
    ]
    first, second, other = (
        tensors_sha256(fresh_network(spec, catalogue, _seed(spec, "init")).state_dict()) for spec in specs
    )
    assert first == second != other
    assert _seed(specs[0], "order") != _seed(specs[1], "order")
    assert _seed(specs[0], "init", member=1) != _seed(specs[0], "init")
