"""The claims of SECURITY.md that have no better home: secrets, caps, no code in data."""

from __future__ import annotations

import ast
import base64
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from minigrid import Ended, files_below, mini_grid
from pyarrow import fs

import dumb_bench
from dumb_bench import draw
from dumb_bench.catalogue import Catalogue
from dumb_bench.errors import InputError
from dumb_bench.grid_file import parse_grid
from dumb_bench.redaction import public_uri, without_secrets
from dumb_bench.store.objects import ObjectPlace

ROOT = Path(__file__).resolve().parent.parent
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfi"
ENVIRONMENT = {"HUB_TOKEN": SECRET, "HOME": "/home/me", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/long/path"}

LEAKS = [
    f"cannot open s3://AKIAIOSFODNN7EXAMPLE:{SECRET}@bucket/x?region=eu",
    f"gs://{SECRET}@bucket and https://me:{SECRET}@host/path",
    f"KeyError in {{'HUB': '{SECRET}', 'API_KEY': '{SECRET}'}}",
    f"refused: hub_password={SECRET}; try again",
    f"    password = '{SECRET}'",
    f"?access_key={SECRET}&region=eu",
    f"Authorization: Bearer {SECRET}",
    f'headers={{"authorization": "Basic {SECRET}"}}',
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_secret_is_taken_out(text: str) -> None:
    for environment in ({}, ENVIRONMENT):
        if "HUB': " in text and not environment:
            continue  # a name that tells nothing: only the environment knows that this is a secret
        shown = without_secrets(text, environment)
        assert SECRET not in shown and SECRET.partition("/")[0] not in shown
        assert "***" in shown


def test_an_environment_secret_is_found_in_each_of_its_forms() -> None:
    quoted = SECRET.replace("/", "%2F").replace("+", "%2B")
    assert without_secrets(f"a {SECRET} b {quoted} c", ENVIRONMENT) == "a *** b *** c"
    assert without_secrets("line\\nsecond", {"A_SECRET": "line\nsecond"}) == "***"


@pytest.mark.parametrize(
    "text",
    [
        "unknown key 'token'. Did you mean 'task'? Available: name, task.",
        "RAY_AUTH_MODE is token, and no token was found at /long/path",
        "s3://bucket/prefix: cannot be read: there is nothing.",
        "https://docs.example.org/a#b, someone@example.org",
        "the attack's tokens: 5 of 7; a secret is not in here",
        "strength = 0.1, key=3, password: str = field()",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert without_secrets(text, ENVIRONMENT) == text


@pytest.mark.parametrize(
    ("place", "public"),
    [
        ("/home/me@work/store", "/home/me@work/store"),
        ("file:///a@b/c", "file:///a@b/c"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://id:secret@bucket/x?region=eu&scheme=http", "s3://bucket/x?region=eu&scheme=http"),
        ("s3://id:secret@bucket/x?session_token=secret", "s3://bucket/x"),
        ("gs://secret@bucket/x", "gs://bucket/x"),
        ("s3://id:sec/ret@bucket/x", "s3://***"),
    ],
)
def test_a_public_uri_has_neither_user_nor_unknown_options(place: str, public: str) -> None:
    assert public_uri(place) == public


PLUGIN = """
import os

from dumb_bench.attacks.base import attack


@attack("leaks")
def leaks(surrogate, images, labels, strength, *, generator, targets=None):
    password = "Pl4nted-in-the-source"
    some = {name: value for name, value in os.environ.items() if name.startswith("SOME_")}
    raise RuntimeError(f"s3://me:Pl4nted-in-a-uri@bucket {some} Authorization: Bearer Pl4nted-in-a-header")
"""
PLANTED = b"Pl4nted"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An object store in memory behind every s3:// URI."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    system = fs.PyFileSystem(fs.FSSpecHandler(memory))

    def opened(cls: type[ObjectPlace], uri: str) -> ObjectPlace:
        root = public_uri(uri).partition("://")[2].partition("?")[0]
        memory.makedirs("/" + root, exist_ok=True)
        return cls(system, root, uri)

    monkeypatch.setattr(ObjectPlace, "from_uri", classmethod(opened))
    return memory


def test_planted_secrets_are_nowhere(
    bucket: Any, tmp_path: Path, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", "Pl4nted-in-the-environment")
    (tmp_path / "leaks.py").write_text(PLUGIN)
    attacks = '[[attacks]]\nname = "leaks"\nstrength = 0.1\n'
    (tmp_path / "grid.toml").write_text(mini_grid(sources='["optdigits"]', attacks=attacks, image_source="surrogate"))
    plugin, results = ["--plugin", tmp_path / "leaks.py"], tmp_path / "results"
    store = "s3://me:Pl4nted-in-the-uri@bucket/store?session_token=Pl4nted-too"
    run = ["run", tmp_path / "grid.toml", "--results", results, "--store", store, *plugin, "--address", "serial"]
    printed = [command(*run), command("status", results, "--store", store), command("check", "results", results)]
    printed += [command("run", tmp_path / "none.toml", "--store", store), command("compact", "s3://me:Pl4nted@b/c")]
    assert [ended.code for ended in printed] == [3, 0, 0, 2, 2]
    failures = dumb_bench.load(str(results)).failures
    assert failures.message.str.contains("SOME_API_TOKEN").any()  # the error did come through
    assert failures.traceback.str.contains("RuntimeError").any()
    page = (results / "report" / "index.html").read_text()
    assert "SOME_API_TOKEN" in page
    texts = ["".join((ended.out, ended.err)).encode() for ended in printed]
    texts += [Path(path).read_bytes() for path in files_below(results)]
    texts += [found.getvalue() for found in bucket.store.values()]
    texts += [base64.b64decode(image) for image in re.findall(r"base64,([^\"]+)", page)]
    texts += [failures.to_csv().encode(), *_tables(results)]
    assert len(texts) > 30
    assert [text[:80] for text in texts if PLANTED in text] == []
    assert '"store": "s3://bucket/store"' in (results / "plan.json").read_text()


def _tables(results: Path) -> list[bytes]:
    import pandas as pd

    return [pd.read_parquet(path).to_json().encode() for path in sorted(results.rglob("*.parquet"))]


def test_a_crash_shows_no_secret(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def crash(*arguments: object) -> None:
        raise RuntimeError("s3://me:Pl4nted@bucket")

    monkeypatch.setattr(draw, "draw", crash)
    ended = command("report", tmp_path)
    assert ended.code == 1
    assert "Traceback" in ended.err and "RuntimeError: s3://***@bucket" in ended.err


@pytest.mark.parametrize("uri", ["s3://me:Pl4n/ted@bucket/x", "s3://me:Pl4nted@bucket/x?nonsense=1"])
def test_a_bad_uri_is_refused_without_its_secret(uri: str, command: Callable[..., Ended]) -> None:
    ended = command("status", uri)
    assert ended.code == 2
    assert "s3://***@" in ended.err and "Pl4n" not in ended.err


def test_the_text_of_an_error_is_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    from dumb_bench.runner.execute import clean_text

    monkeypatch.setenv("HOME", "/home/me")
    assert clean_text("\x1b[31mred\x1b[0m\x00\x08 /home/me/x\u202e\ttab", 100) == "red ~/x\ttab"
    assert len(clean_text("x" * 10_000, 2_000)) == 2_000


def test_an_endless_file_is_not_read_to_its_end(command: Callable[..., Ended]) -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("needs a device without an end")
    ended = command("plan", "/dev/zero")
    assert ended.code == 2
    assert "larger than 1,000,000 bytes" in ended.err


def test_a_grid_that_is_all_faults_is_refused_quickly() -> None:
    text = "\n".join(f"key_{number} = 1" for number in range(40_000))
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        parse_grid(text, "grid", Catalogue())
    assert time.process_time() - started < 5.0
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert re.fullmatch(r"grid: and 3\d,\d{3} more faults", lines[-1])


def test_a_long_axis_costs_time_in_proportion() -> None:
    started = time.process_time()
    seeds = [*range(100_000), 0]
    with pytest.raises(InputError, match=r"models\.seed: 0 is given twice"):
        parse_grid(mini_grid(seeds=str(seeds), victim_seeds="[0]"), "grid", Catalogue())
    assert time.process_time() - started < 10.0  # a search through what was seen takes half a minute


FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "torch.load", "torch.hub.load", "np.fromfile", "os.system", "os.popen"}
ALLOWED = {
    ("plugin_file.py", "exec"),  # a plugin file is code, and named on the command line
    ("plugin_file.py", "compile"),
    ("architectures/library.py", "torch.load of tensors only"),  # published weights, after their sha256 prefix agrees
}
"""CIFAR-10's pickles are read inside torchvision: `data/cifar10.py` and its tests say after which check."""


def _faults(source: str) -> set[str]:
    """What a module does that could run code from data."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [item.name for item in node.names]
            found |= {name for name in names if name.split(".")[0] in FORBIDDEN_MODULES | {"subprocess"}}
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            tensors = any(ast.unparse(word) == "weights_only=True" for word in node.keywords)
            if name == "torch.load" and tensors:
                found.add("torch.load of tensors only")
                continue
            found |= {name} & (FORBIDDEN_CALLS | {"compile"})
            if name.endswith("read_pickle") or any(word.arg == "allow_pickle" for word in node.keywords):
                found.add(name)
            if any(word.arg == "weights_only" for word in node.keywords):
                found.add(name)
    return found


def test_nothing_in_the_package_reads_code_from_data() -> None:
    package = ROOT / "dumb_bench"
    modules = sorted(package.rglob("*.py"))
    assert len(modules) > 150
    found = {(str(path.relative_to(package)), fault) for path in modules for fault in _faults(path.read_text("utf-8"))}
    assert found == ALLOWED
    sample = "import pickle, yaml\nfrom marshal import loads\neval('1')\ntorch.load(f)\nnp.load(f, allow_pickle=True)"
    assert _faults(sample) == {"pickle", "yaml", "marshal", "eval", "torch.load", "np.load"}
    assert _faults("torch.load(f, weights_only=False)") == {"torch.load"}
    assert _faults("torch.load(f, weights_only=flag)") == {"torch.load"}


def test_numpy_refuses_objects_where_the_package_loads_arrays() -> None:
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    stream.seek(0)
    with pytest.raises(ValueError, match="allow_pickle"):
        np.load(stream)  # as data/rendered.py calls it


def test_every_claim_names_a_test_that_exists() -> None:
    claims = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/.]+)\)", (ROOT / "SECURITY.md").read_text())
    assert len(claims) > 15
    assert [(name, file) for name, file in claims if f"def {name}(" not in (ROOT / file).read_text()] == []
