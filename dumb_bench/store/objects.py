"""Object stores (`s3://`, `gs://`) as places, through `pyarrow.fs`."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from collections.abc import Iterator
from typing import Any

from dumb_bench.errors import InputError
from dumb_bench.redaction import public_uri, without_secrets
from dumb_bench.store.place import Entry, Place, checked, one_line, temporary


class ObjectPlace(Place):
    """A prefix of a bucket, through `pyarrow.fs`."""

    workers = 16

    def __init__(self, filesystem: Any, root: str, uri: str) -> None:
        self.filesystem, self.root, self.uri = filesystem, root.rstrip("/"), uri
        self.name = public_uri(uri).partition("?")[0]

    @classmethod
    def from_uri(cls, uri: str) -> ObjectPlace:
        """Open an `s3://` or `gs://` URI; its query may carry `region`, `endpoint_override`, `scheme`.

        `AWS_ENDPOINT_URL` is understood, which pyarrow alone does not do reliably.

        Raises:
            InputError: the URI, its credentials or its options are not accepted.
        """
        from pyarrow import fs

        address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
        endpoint = urllib.parse.urlsplit(address)
        extra: dict[str, str] = {}
        if uri.startswith("s3://"):
            extra["allow_delayed_open"] = "true"  # small objects in one request instead of three
            if endpoint.netloc:
                extra |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
        given = urllib.parse.parse_qs(urllib.parse.urlsplit(uri).query)
        query = urllib.parse.urlencode({key: value for key, value in extra.items() if key not in given})
        full = f"{uri}{'&' if '?' in uri else '?'}{query}" if query else uri
        try:
            filesystem, root = fs.FileSystem.from_uri(full)
        except (OSError, ValueError, NotImplementedError) as error:
            raise InputError(f"{without_secrets(uri)}: cannot be opened: {one_line(error)}.") from error
        return cls(filesystem, root, full)

    def _full(self, path: str) -> str:
        return f"{self.root}/{checked(path)}"

    def _prepare(self, create: bool) -> None:
        if create:
            probe = temporary("probe")
            self.write(probe, b"-")
            self.delete(probe)
        elif not self._found(""):
            raise FileNotFoundError(2, "there is nothing")

    def _found(self, prefix: str) -> list[Any]:
        from pyarrow import fs

        base = f"{self.root}/{checked(prefix)}" if prefix else self.root
        selector = fs.FileSelector(base, allow_not_found=True, recursive=bool(prefix))
        return [item for item in self.filesystem.get_file_info(selector) if item.is_file or not prefix]

    def read(self, path: str) -> bytes:
        """Return the bytes of an object. Raises FileNotFoundError, OSError."""
        with self._told(path), self.filesystem.open_input_stream(self._full(path)) as stream:
            return bytes(stream.read())

    def write(self, path: str, data: bytes) -> None:
        """Put an object: it is visible whole, or not at all. Raises OSError."""
        # Not a `with` block: an exception inside one would close, and so publish, a truncated object.
        stream = self.filesystem.open_output_stream(self._full(path))
        stream.write(data)
        stream.close()

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        return bool(self.filesystem.get_file_info(self._full(path)).is_file)

    def names(self, prefix: str) -> list[str]:
        """Return the names of all objects below a prefix."""
        return [entry.path for entry in self.files(prefix)]

    def files(self, prefix: str) -> list[Entry]:
        """Return all objects below a prefix."""
        checked(prefix)
        cut = len(self.root.lstrip("/")) + 1
        return [
            Entry(item.path.lstrip("/")[cut:], item.size or 0, (item.mtime_ns or 0) / 1e9)
            for item in self._found(prefix)
        ]

    def delete(self, path: str) -> None:
        """Delete an object, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self._full(path))

    def move(self, path: str, target: str) -> None:
        """Copy and delete: an object store cannot rename."""
        with self._told(path):
            self.filesystem.move(self._full(path), self._full(target))

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Raise FileNotFoundError where an object vanishes while it is asked for.

        S3 says NO_SUCH_KEY when that comes between two requests of one call, and pyarrow an OSError, no more.
        """
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if self.exists(path):
                raise
            raise FileNotFoundError(2, "no such object", path) from error
