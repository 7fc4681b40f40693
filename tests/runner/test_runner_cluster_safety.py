"""The warning on an open cluster: when it is given, and that joining one gives it."""

from __future__ import annotations

import types
from typing import Any

import pytest

from dumb_bench.errors import InputError
from dumb_bench.runner.cluster_safety import open_cluster_warning
from dumb_bench.runner.profile import Profile


@pytest.mark.parametrize(
    ("version", "environment", "reason"),
    [
        ("2.60.0", {}, "create a token, set RAY_AUTH_MODE=token"),
        ("2.52.0", {"RAY_AUTH_MODE": "disabled"}, "create a token, set RAY_AUTH_MODE=token"),
        ("2.60.0", {"RAY_AUTH_TOKEN": "a token that is not shown"}, "create a token, set RAY_AUTH_MODE=token"),
        ("2.51.2", {"RAY_AUTH_MODE": "token"}, "Ray 2.51.2 knows no authentication"),
        ("1.13.0", {}, "Ray 1.13.0 knows no authentication"),
    ],
)
def test_an_open_cluster_is_named_with_what_to_do(version: str, environment: dict[str, str], reason: str) -> None:
    line = open_cluster_warning("head:6379", version, environment)
    assert line is not None and "\n" not in line
    assert line.startswith("warning: the Ray cluster at head:6379 is open")
    assert reason in line


@pytest.mark.parametrize("version", ["2.52.0", "2.60.0", "3.0.0.dev0", "nightly"])
@pytest.mark.parametrize("mode", ["token", "TOKEN"])
def test_with_a_token_nothing_is_said(version: str, mode: str) -> None:
    assert open_cluster_warning("auto", version, {"RAY_AUTH_MODE": mode}) is None


@pytest.mark.parametrize(("address", "mode", "lines"), [("auto", None, 1), ("auto", "token", 0), ("local", None, 0)])
def test_joining_an_open_cluster_is_said_in_one_line(
    address: str, mode: str | None, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dumb_bench.runner.ray import cluster

    asked: list[Any] = []
    joined = types.SimpleNamespace(__version__="2.60.0", init=lambda **options: asked.append(options["address"]))
    monkeypatch.setattr(cluster, "ray", joined)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    said: list[str] = []
    cluster.join(address, Profile(), said.append)
    assert asked == [address]
    assert len(said) == lines
    assert all("is open" in line for line in said)


def test_no_answer_without_a_token_says_that_one_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from dumb_bench.runner.ray import cluster

    def refuse(**options: Any) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(cluster, "ray", types.SimpleNamespace(init=refuse))
    for mode, hint in (("disabled", True), ("token", False)):
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        with pytest.raises(InputError, match="no Ray cluster answers there") as caught:
            cluster.join("auto", Profile(), pytest.fail)
        assert ("answers only with RAY_AUTH_MODE=token" in str(caught.value)) is hint


def test_a_local_cluster_that_does_not_start_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from dumb_bench.runner.ray import cluster

    def late(**options: Any) -> None:
        raise Exception("The current node timed out during startup.\nThis could happen")

    monkeypatch.setattr(cluster, "ray", types.SimpleNamespace(init=late))
    with pytest.raises(InputError, match="Ray does not start on this machine: The current node timed out") as caught:
        cluster.join("local", Profile(), pytest.fail)
    assert "--address serial" in str(caught.value) and "\n" not in str(caught.value)
