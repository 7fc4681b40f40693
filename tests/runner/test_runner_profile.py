"""Cluster profiles: what they say, what is refused, and what fits where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from minigrid import Ended, mini_grid
from test_docs import first_cells, section

from dumb_bench.errors import InputError
from dumb_bench.runner.placement import Need, capacity, check_feasible, emptiest
from dumb_bench.runner.profile import TIMEOUTS, Allowance, Profile, chosen_profile, read_profile

ROOT = Path(__file__).resolve().parents[2]


def test_a_kind_takes_its_own_words_before_the_defaults(write: Callable[..., Path]) -> None:
    text = 'slots = 3\n[default]\nmemory = "2 GiB"\ntimeout = "90 min"\n[train]\ngpus = 0.5\ncpus = 2\ntimeout = 60\n'
    profile = read_profile(write(text))
    assert profile.need("train") == Need(2.0, 0.5, 2**31)
    assert profile.need("attack") == Need(1.0, 0.0, 2**31)
    assert (profile.timeout("train"), profile.timeout("attack"), profile.slots) == (60.0, 5400.0, 3)
    assert profile.device == "cuda"
    assert Profile().device == "cpu" and all(Profile().timeout(kind) == most for kind, most in TIMEOUTS.items())


@pytest.mark.parametrize("text, sentence", [
    ("[trian]\n", "unknown key 'trian'. Did you mean 'train'?"),
    ("[train]\ncpu = 1\n", "train: unknown key 'cpu'. Did you mean 'cpus'? Available: cpus, gpus, memory, timeout."),
    ("[train]\ncpus = 0\n", "train.cpus: expected more than 0.0, got 0"),
    ("[train]\ngpus = -1\n", "train.gpus: expected at least 0.0, got -1"),
    ('[train]\ntimeout = "1 week"\n', "train.timeout: expected seconds above 0, or text such as \"90 min\""),
    ('[train]\nmemory = "4 gb"\n', "train.memory: expected bytes above 0, or text such as \"4 GiB\""),
    ("[train]\nmemory = true\n", "train.memory: expected bytes above 0"),
    ("[train]\ntimeout = inf\n", "train.timeout: expected seconds above 0"),
    ("slots = 0\n", "slots: expected at least 1, got 0"),
    ('slots = "2"\n', "slots: expected a whole number, got '2'"),
    ("slots = \n", "is not TOML"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(text: str, sentence: str, write: Callable[..., Path]) -> None:
    path = write(text, "profile.toml")
    with pytest.raises(InputError) as found:
        read_profile(path)
    assert str(found.value).startswith(f"{path}: ") and "\n" not in str(found.value)
    assert sentence in str(found.value)


def test_the_command_line_goes_first_and_gpus_are_said_in_one_place(write: Callable[..., Path]) -> None:
    path = write("slots = 3\n")
    assert chosen_profile(path, 5, 0.0).slots == 5 and chosen_profile(path, None, 0.0).slots == 3
    assert chosen_profile(None, None, 0.25).need("attack").gpus == 0.25
    with pytest.raises(InputError, match=r"--gpus-per-slot 0\.5: with --profile, write `gpus`"):
        chosen_profile(path, None, 0.5)


def test_a_bad_profile_ends_a_run_with_2_before_anything_is_written(
    command: Callable[..., Ended], write: Callable[..., Path], tmp_path: Path
) -> None:
    grid, profile = write(mini_grid()), write("cpus = 2\n", "profile.toml")
    ended = command("run", grid, "--results", tmp_path / "out", "--profile", profile)
    assert ended.code == 2 and "profile.toml: unknown key 'cpus'." in ended.err
    assert not (tmp_path / "out").exists()
    assert command("run", grid, "--profile", tmp_path / "none.toml").code == 2


def test_the_example_is_a_profile() -> None:
    assert read_profile(ROOT / "examples" / "my_cluster.toml").need("train").gpus > 0


def test_the_page_describes_every_key() -> None:
    page = ROOT / "docs" / "on-my-cluster.md"
    assert first_cells(section(page, "Keys of a profile").split("\n## ")[0]) == list(Allowance.model_fields)
    assert all(f"`[{kind}]`" in page.read_text() for kind in Profile.model_fields if kind != "slots")


SMALL, LARGE = Need(4, 0, 8 * 10**9), Need(16, 2, 64 * 10**9)


def test_what_no_node_holds_is_refused_with_the_reason() -> None:
    nodes = {"a": SMALL, "b": LARGE}
    check_feasible({"train": Need(16, 2, 10**9), "attack": Need(1)}, nodes)
    for need, why in (
        (Need(17), "17 CPUs \\(the most that a node has is 16\\)"),
        (Need(1, 3), "3 GPUs \\(the most that a node has is 2\\)"),
        (Need(1, 0, 10**11), "100.0 GB of memory \\(the most that a node has is 64.0 GB\\)"),
    ):
        with pytest.raises(InputError, match=f"kind 'train' needs {why}"):
            check_feasible({"train": need}, nodes)
    with pytest.raises(InputError, match="not together"):
        check_feasible({"train": Need(8, 1)}, {"a": Need(16), "b": Need(4, 1)})
    with pytest.raises(InputError, match="no node"):
        check_feasible({"train": Need()}, {})


def test_slots_are_counted_by_what_is_scarcest_and_start_where_most_is_left() -> None:
    nodes = {"a": SMALL, "b": LARGE}
    assert capacity([Need(1)], nodes) == 20
    assert capacity([Need(1, 0.25)], nodes) == 8
    assert capacity([Need(2, 0, 4 * 10**9)], nodes) == 2 + 8
    assert Need(1, 0.1).times_in(Need(16, 1)) == 10
    left = LARGE.less([Need(14, 1, 0)])
    assert left == Need(2, 1, 64 * 10**9)
    assert emptiest(Need(1), {"a": SMALL, "b": left}) == "a"
    assert emptiest(Need(1, 0.5), {"a": SMALL, "b": left}) == "b"
    assert emptiest(Need(5), {"a": SMALL, "b": left}) is None
