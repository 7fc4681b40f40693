"""A slot whose memory does not hold all victims: the same rows, and few of them read again."""

from __future__ import annotations

from pathlib import Path

import pytest
from minigrid import Quiet, mini_grid

import dumb_bench
from dumb_bench.catalogue import Catalogue
from dumb_bench.report.load import Results
from dumb_bench.runner import stored_parts
from dumb_bench.runner.run import RunOptions, run_grid

SETS = 3 * 2 * 2 + (1 + 1 + 2)
"""Scored by every victim: FGSM's sets of each surrogate and their swaps; blur, identity, noise of both sizes."""

ALL = '["small_alexnet", "small_resnet", "small_vgg"]'


def go(folder: Path, name: str) -> Results:
    grid = folder / f"{name}.toml"
    grid.write_text(mini_grid(sources='["optdigits"]', architectures=ALL, image_source="surrogate"))
    options = RunOptions(results=str(folder / name), store=str(folder / f"{name}.store"), address="serial")
    assert run_grid(grid, Catalogue(), options, Quiet(), lambda line: None).exit_code == 0
    return dumb_bench.load(folder / name)


@pytest.mark.parametrize("limit", ["KEPT_NETWORKS", "KEPT_BYTES"])
def test_a_slot_that_holds_two_of_three_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    whole = go(tmp_path, "whole")
    sizes = sorted(whole.models["weights_bytes"])
    monkeypatch.setattr(stored_parts, limit, 2 if limit == "KEPT_NETWORKS" else int(sum(sizes) - sizes[0] / 2))
    built = []
    networks = stored_parts.networks
    monkeypatch.setattr(stored_parts, "networks", lambda *args, **how: built.append(1) or networks(*args, **how))
    part = go(tmp_path, "part")
    columns = ["test_id", "n_images", "n_victim_correct", "n_success", "asr"]
    for name in ("tests", "predictions"):
        one, other = (getattr(results, name).sort_values("test_id").reset_index(drop=True) for results in (whole, part))
        if name == "tests":
            assert one[columns].equals(other[columns]) and len(one)
        else:
            assert [list(each) for each in one["predictions"]] == [list(each) for each in other["predictions"]]
    assert 3 < len(built) < 3 + 2 * SETS, "every victim read again for every set would be three a set"
