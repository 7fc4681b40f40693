"""`--data`, `--offline` and `fetch`: the command line binds the folder; no id, key or grid knows it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny_cifar
from minigrid import Ended, files_below

from dumb_bench.catalogue import Catalogue, DataPlace
from dumb_bench.data.images import load_split
from dumb_bench.errors import InputError
from dumb_bench.spec import Plugin

GUBRI = Path(__file__).resolve().parent.parent / "grids" / "gubri_2022_cifar10.toml"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a grid of tiny CIFAR-10."""
    (tmp_path / "grid.toml").write_text(tiny_cifar.GRID.format(architecture='{ name = "preresnet", depth = 8 }'))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DUMB_BENCH_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are not timed."""
    monkeypatch.setattr("dumb_bench.runner.estimate._seconds_an_image", lambda model, catalogue: (1e-3, 1000))


def lone_error(ended: Ended) -> str:
    assert ended.code == 2 and "Traceback" not in ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_depth_that_does_not_exist_is_one_line_before_anything_is_done(
    place: Path, command: Callable[..., Ended], verb: str
) -> None:
    text = (place / "grid.toml").read_text().replace("tiny_cifar", "cifar10").replace("depth = 8", "depth = 9")
    (place / "grid.toml").write_text(text)
    found = lone_error(command(verb, "grid.toml"))
    assert found == (
        "error: grid.toml: models: architecture 'preresnet': parameter 'depth': "
        "expected 6n + 2 with basic blocks, such as 8 or 14, got 9"
    )
    assert files_below(place) == [str(place / "grid.toml")]


@pytest.mark.usefixtures("quick")
def test_the_study_of_gubri_is_planned_and_costed_without_data(place: Path, command: Callable[..., Ended]) -> None:
    before = files_below(place)
    found = json.loads(command("plan", GUBRI, "--json").out)
    # x 3 seeds: single networks 2 recipes x 2 modifiers; chain 6 x 2 aggregations, with ghosts 1; ensembles 6 x 2 x 2
    # recipes; five other posteriors and vi x 2
    surrogates = 3 * (4 + 12 + 1 + 24 + 12)
    assert (found["surrogates"], found["victims"]) == (surrogates, 15)
    assert found["models"] == 3 * (2 + 6 + 12 + 6) + 15
    # the pool holds the single networks; five cycles each of two chains; swag, fge, laplace, mc_dropout, vi
    assert found["trainings"] == 3 * (15 * 2 + 5 * 2 + 5) + 15
    assert found["tests"] == surrogates * 12 * 15 and found["step_tests"] == surrogates * 5 * 15
    assert found["adversarial_sets"] == surrogates * 12 * 2 + 1 + 2  # with delta_swap; identity; noise in two norms
    # epochs, three times: pool, two chains, swag, fge, laplace (none), mc_dropout and vi; 15 victims; 45,000 images,
    # three passes of 1 ms
    epochs = 3 * (30 * 250 + 2 * 250 + 140 + (15 * 4 - 2) + 2 * 250) + 15 * 250
    assert found["estimate"]["training"] == pytest.approx(epochs * 45_000 * 3e-3)
    assert found["refused"] == [] and found["done"] == 0
    assert files_below(place) == before


def test_two_folders_give_one_identity_and_offline_suffices(place: Path, command: Callable[..., Ended]) -> None:
    sums = tiny_cifar.write(place / "one")
    (place / "two").mkdir()
    (place / "two" / tiny_cifar.FOLDER).symlink_to(place / "one" / tiny_cifar.FOLDER)
    (place / "tiny.py").write_text(tiny_cifar.plugin(sums))
    options = ("--plugin", "tiny.py", "--address", "serial", "--no-report")
    first = command("run", "grid.toml", "--data", "one", "--offline", *options)
    assert first.code == 0, first.err
    second = command("run", "grid.toml", "--data", place / "two", *options)
    assert second.code == 0 and "nothing to do: every unit is stored already" in second.out
    stored = [Path(name) for name in files_below(place / "results") + files_below(place / ".store")]
    assert stored and not any(str(place).encode() in path.read_bytes() for path in stored if path.suffix != ".jsonl")
    images = pq.read_table(place / "results" / "tiny" / "tables" / "images").to_pylist()
    assert len(images) == 20 and all(row["image_id"].startswith("test/") for row in images)


@pytest.mark.parametrize("how", ["option", "variable", "default"])
def test_a_missing_folder_is_one_line_and_nothing_is_trained(
    place: Path, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    sums = tiny_cifar.write(place / "elsewhere")
    (place / "tiny.py").write_text(tiny_cifar.plugin(sums))
    if how == "variable":
        monkeypatch.setenv("DUMB_BENCH_DATA", "folder")
    ended = command("run", "grid.toml", "--plugin", "tiny.py", "--offline", "--address", "serial",
                    *(("--data", "folder") if how == "option" else ()))  # fmt: skip
    folder = place / ("data" if how == "default" else "folder") / tiny_cifar.FOLDER
    assert f"source 'tiny_cifar': expected its files in {folder}: data_batch_1 is missing" in lone_error(ended)
    assert not folder.parent.exists()
    assert not list((place / "results").rglob("*.parquet"))
    assert command("status", "results/tiny").out.startswith("tiny: 0 of ")


def test_fetch_downloads_reads_and_does_nothing_else(place: Path, command: Callable[..., Ended]) -> None:
    sums = tiny_cifar.write(place / "origin")
    (place / "web").mkdir()
    md5 = tiny_cifar.archive(place / "origin", place / "web" / "all.tar.gz")
    with tiny_cifar.served(place / "web") as url:
        (place / "tiny.py").write_text(tiny_cifar.plugin(sums, url=f"{url}/all.tar.gz", tgz_md5=md5))
        before = set(files_below(place))
        ended = command("fetch", "grid.toml", "--plugin", "tiny.py", "--data", "here")
        assert (ended.code, ended.out) == (0, "tiny_cifar (cifar10): 160 images\n"), ended.err
    fetched = {name.removeprefix(f"{place}/") for name in set(files_below(place)) - before if "__pycache__" not in name}
    assert fetched == {"here/cifar-10-python.tar.gz", *(f"here/{tiny_cifar.FOLDER}/{name}" for name in sums)}
    torn = place / "here" / tiny_cifar.FOLDER / "test_batch"
    whole = torn.read_bytes()
    torn.write_bytes(b"torn")
    load_split.cache_clear()  # a process reads a split once
    again = command("fetch", "grid.toml", "--plugin", "tiny.py", "--data", "here")
    assert again.code == 0 and torn.read_bytes() == whole, again.err  # from the archive; the server is gone
    torn.write_bytes(b"torn")
    (place / "here" / "cifar-10-python.tar.gz").unlink()
    load_split.cache_clear()
    text = lone_error(command("fetch", "grid.toml", "--plugin", "tiny.py", "--data", "here"))
    assert f"source 'tiny_cifar': cannot be downloaded to {place / 'here'}" in text


def test_the_folder_travels_to_the_slots_and_downloading_is_no_part_of_it(tmp_path: Path) -> None:
    catalogue = Catalogue(data=DataPlace(tmp_path, download=True))
    travelled = pickle.loads(pickle.dumps(catalogue))
    assert (travelled.data.root, travelled.data.download) == (tmp_path, True)
    assert catalogue == Catalogue(data=DataPlace(tmp_path)) != Catalogue(data=DataPlace(tmp_path / "other"))


def test_slots_read_and_never_download(
    place: Path, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    (place / "tiny.py").write_text(tiny_cifar.plugin(tiny_cifar.write(place / "data")))

    def executor(settings: object) -> object:
        seen.append(settings)
        raise InputError("no slot")

    monkeypatch.setattr("dumb_bench.runner.run.Worker", executor)
    ended = command("run", "grid.toml", "--plugin", "tiny.py", "--address", "serial")
    assert lone_error(ended) == "error: no slot"
    (settings,) = seen
    assert (settings.catalogue.data.root, settings.catalogue.data.download) == (place / "data", False)


def test_a_split_is_read_again_from_another_folder(tmp_path: Path) -> None:
    bare = Catalogue(data=DataPlace(tmp_path))
    with pytest.raises(InputError, match=str(tmp_path)):
        load_split(bare, "cifar10", Plugin("cifar10"), "test")
    digits = [load_split(Catalogue(data=DataPlace(tmp_path / name)), "digits", Plugin("rendered"), "test")
              for name in ("one", "two")]  # fmt: skip
    assert digits[0].ids == digits[1].ids
