"""Places: durable writes, names that never leave, clear refusals."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from s3_server import uri

from dumb_bench.errors import InputError
from dumb_bench.store import filesystem
from dumb_bench.store.filesystem import LocalPlace, place_at
from dumb_bench.store.objects import ObjectPlace
from dumb_bench.store.place import Place

BAD = ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "a/./b", "a\\b", "C:/x", "a\x00b", "a\nb", "a\x7f"]


@pytest.fixture(params=["local", "bucket", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "local":
        return place_at(tmp_path / "place")
    if request.param == "s3":
        return place_at(uri(request.getfixturevalue("s3"), f"place/{tmp_path.name}"))
    found: Place = request.getfixturevalue("bucket")
    return found


def test_files_come_and_go(place: Place) -> None:
    assert place.names("a") == []
    place.write("a/b/one", b"1")
    place.write("a/two", b"22")
    place.write("a/two", b"333")
    assert place.read("a/two") == b"333"
    assert sorted((entry.path, entry.size) for entry in place.files("a")) == [("a/b/one", 1), ("a/two", 3)]
    assert sorted(place.names("a")) == ["a/b/one", "a/two"]
    place.move("a/two", "c/d/three")
    assert not place.exists("a/two")
    assert place.read("c/d/three") == b"333"
    place.delete("a/b/one")
    place.delete("a/b/one")
    assert place.names("a") == []
    with pytest.raises(FileNotFoundError):
        place.read("a/b/one")
    with pytest.raises(FileNotFoundError):
        place.move("a/none", "a/other")
    place.write("a/b/one", b"again")
    assert place.exists("a/b/one") and not place.exists("a/b")


@pytest.mark.parametrize("name", BAD)
def test_names_stay_inside(place: Place, name: str) -> None:
    for act in (place.read, place.exists, place.delete, place.names, place.files):
        with pytest.raises(InputError):
            act(name)
    with pytest.raises(InputError):
        place.write(name, b"")
    with pytest.raises(InputError):
        place.move("a", name)


def test_a_place_survives_a_pickle(tmp_path: Path) -> None:
    place = place_at(tmp_path / "p")
    place.write("x", b"1")
    assert pickle.loads(pickle.dumps(place)).read("x") == b"1"
    assert place_at(place.uri, create=False).read("x") == b"1"
    assert place_at(f"file://{tmp_path / 'p'}", create=False).read("x") == b"1"


def test_refusals_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    refused = ["", "a\0b", "ftp://host/x", tmp_path / "file", tmp_path / "file" / "below", "s3://"]
    for where in refused:
        with pytest.raises(InputError) as caught:
            place_at(where)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        place_at(tmp_path / "none", create=False)
    with pytest.raises(InputError, match="cannot be read"):
        place_at(tmp_path / "file", create=False)
    assert not (tmp_path / "none").exists()


def test_a_read_only_folder_is_refused_for_writing_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "archive"
    LocalPlace(folder).write("x", b"1")
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):  # root: permissions say nothing, so the file system has to
            monkeypatch.setattr(Path, "touch", _read_only)
        with pytest.raises(InputError, match="archive: cannot be written: "):
            place_at(folder)
        assert place_at(folder, create=False).read("x") == b"1"
    finally:
        folder.chmod(0o755)


def _read_only(*args: Any, **kwargs: Any) -> None:
    raise OSError(30, "Read-only file system")


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = LocalPlace(tmp_path)
    place.write("x", b"old")
    for broken in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(filesystem.os, broken, _read_only)
            with pytest.raises(OSError, match="Read-only"):
                place.write("x", b"new")
        assert place.read("x") == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_leftovers_are_invisible_and_swept_when_old(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    place.write("a/x", b"")
    (tmp_path / "a" / ".x.0123.tmp").write_bytes(b"half")
    assert place.names("a") == ["a/x"] and len(place.files("a")) == 1
    place.sweep(1000.0)
    assert len(list((tmp_path / "a").iterdir())) == 2
    place.sweep(-1.0)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x"]


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine.parquet").write_bytes(b"mine")
    root = tmp_path / "real"
    place = LocalPlace(root)
    place.write("a/file", b"1")
    (root / "folder").symlink_to(outside)
    (root / "a" / "link").symlink_to(outside / "mine.parquet")
    acts = (place.read, place.exists, place.delete, lambda name: place.write(name, b"2"), place.files, place.names)
    for name in ("folder/mine.parquet", "a/link"):
        for act in acts:
            with pytest.raises(InputError, match="link that leads out"):
                act(name)
        for source, target in ((name, "b"), ("a/file", name)):
            with pytest.raises(InputError, match="link that leads out"):
                place.move(source, target)
    for act in (place.names, place.files):
        with pytest.raises(InputError, match="link that leads out"):
            act("folder")
    assert [path.read_bytes() for path in outside.iterdir()] == [b"mine"]
    (root / "inside").symlink_to(root / "a")
    (tmp_path / "other name").symlink_to(root)
    assert place.read("inside/file") == place_at(tmp_path / "other name").read("a/file") == b"1"


def test_credentials_are_not_shown() -> None:
    place = ObjectPlace(None, "bucket/x", "s3://key:secret@bucket/x?region=eu-west-1")
    assert place.name == "s3://bucket/x"
    assert place.root == "bucket/x"


def test_aws_endpoint_url_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    place = ObjectPlace.from_uri("s3://key:secret@bucket/x?region=us-east-1")
    assert "endpoint_override=127.0.0.1%3A9" in place.uri and "scheme=http" in place.uri


class Vanishing:
    """A file system that deletes an object after it was opened, before it is read."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def open_input_stream(self, path: str) -> Any:
        stream = self._real.open_input_stream(path)
        self._real.delete_file(path)
        return stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_an_object_that_vanishes_while_it_is_read_was_not_there(s3: str, tmp_path: Path) -> None:
    place = place_at(uri(s3, f"vanishing/{tmp_path.name}"))
    assert isinstance(place, ObjectPlace)
    place.write("parts/one", b"content")
    place.filesystem = Vanishing(place.filesystem)
    with pytest.raises(FileNotFoundError, match="no such object"):
        place.read("parts/one")


def test_an_object_store_that_fails_is_not_taken_for_an_empty_one(s3: str, tmp_path: Path) -> None:
    place = place_at(uri(s3, f"failing/{tmp_path.name}"))
    assert isinstance(place, ObjectPlace)
    place.write("parts/one", b"content")

    def failing(path: str) -> Any:
        raise OSError(f"the store does not answer for {path}")

    place.filesystem = Vanishing(place.filesystem)
    place.filesystem.open_input_stream = failing
    with pytest.raises(OSError, match="does not answer") as raised:
        place.read("parts/one")
    assert not isinstance(raised.value, FileNotFoundError)
