"""Reading a store that others write, compact and damage meanwhile: whole units, each once, every byte verified."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from dumb_bench.errors import DamagedFileError
from dumb_bench.store import parts, segments
from dumb_bench.store.batch import Batch, of_unit
from dumb_bench.store.parquet import Wanted
from dumb_bench.store.place import Place
from dumb_bench.store.quarantine import Damage, quarantine
from dumb_bench.store.segments import Manifest

_ATTEMPTS = 50
_CHUNK = 256
_Result = TypeVar("_Result")


class StoreChangedError(Exception):
    """A file that was listed is gone, compacted by another process meanwhile: look again."""


class Layout(NamedTuple):
    """What was there at one moment: loose parts by key, segments by id."""

    parts: dict[str, str]
    segments: dict[str, Manifest]


class Reader:
    """Reads units of a place; what is damaged is put in quarantine, kept in `damaged`, and its units are not done."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.damaged: list[Damage] = []
        self._manifests: dict[str, Manifest] = {}
        self._verified: set[str] = set()
        self._stuck: set[str] = set()

    def layout(self) -> Layout:
        """Return the loose parts and segments of this moment; a damaged manifest is put in quarantine."""
        return self.again(self._layout)

    def again(self, attempt: Callable[[], _Result]) -> _Result:
        """Return `attempt()`, repeated while other processes move files under it.

        Raises:
            OSError: it never comes to rest.
        """
        for _ in range(_ATTEMPTS):
            try:
                return attempt()
            except StoreChangedError:
                continue
        raise OSError(f"{self.place.name}: its files keep moving; is the folder being copied or cleaned?")

    def _layout(self) -> Layout:
        # Parts before segments: a part that compaction takes away in between is in a segment that is listed after it.
        keyed = ((parts.key_of(path), path) for path in self.place.names(parts.FOLDER))
        loose = {key: path for key, path in keyed if key is not None and path not in self._stuck}
        before = self._segments()
        manifests = {segment: self._manifest(segment) for segment in before}
        # A listing is not atomic: it may miss a new segment and the old ones that it replaces. Two equal ones cannot.
        if before and self._segments() != before:
            raise StoreChangedError
        return Layout(loose, {segment: manifests[segment] for segment in sorted(manifests)})

    def _segments(self) -> set[str]:
        paths = self.place.names(segments.FOLDER)
        found = {segment for path in paths if path not in self._stuck and (segment := segments.id_of(path))}
        self._manifests = {segment: kept for segment, kept in self._manifests.items() if segment in found}
        return found

    def _manifest(self, segment: str) -> Manifest:
        if segment not in self._manifests:
            try:
                self._manifests[segment] = segments.read_manifest(self.place, segment)
            except FileNotFoundError as error:
                raise StoreChangedError from error
            except DamagedFileError as error:
                others = [path for path in self.place.names(f"{segments.FOLDER}/{segment}") if path != error.path]
                self.put_aside(error, files=[error.path, *others])
                raise StoreChangedError from error
        return self._manifests[segment]

    def put_aside(self, error: DamagedFileError, keys: tuple[str, ...] = (), files: list[str] | None = None) -> None:
        """Put a damaged file in quarantine (with `files`, which go with it) and remember it."""
        damage = Damage(error.path, error.reason, keys)
        self.damaged.append(damage)
        if not quarantine(self.place, damage, files):
            self._stuck.update(files or [error.path])  # a read-only place: at least it is not read again

    def segment(self, manifest: Manifest, wanted: Wanted | None = None, *, fresh: bool = False) -> Batch | None:
        """Return a segment's rows, or None when it is damaged (it is then in quarantine).

        All its files are verified the first time, or again with `fresh`; later only those read.

        Raises:
            StoreChangedError: it is gone.
            SchemaError: a newer version wrote it.
        """
        try:
            batch = segments.read(self.place, manifest, wanted, others=fresh or manifest.id not in self._verified)
        except FileNotFoundError as error:
            raise StoreChangedError from error
        except DamagedFileError as error:
            self.put_aside(error, manifest.keys, manifest.paths)
            return None
        self._verified.add(manifest.id)
        return batch

    def units(self, loose: Iterable[str], wanted: Wanted | None = None) -> Iterator[Batch]:
        """Yield the intact units of the loose parts at these paths; damaged ones are put in quarantine.

        Raises:
            StoreChangedError: one is gone.
            SchemaError: a newer version wrote one.
        """
        paths = list(loose)
        if self.place.workers == 1:
            yield from (batch for path in paths if (batch := self._unit(path, wanted)))
            return
        with ThreadPoolExecutor(self.place.workers) as pool:
            for start in range(0, len(paths), _CHUNK):
                found = pool.map(lambda path: self._unit(path, wanted), paths[start : start + _CHUNK])
                yield from (batch for batch in found if batch)

    def _unit(self, path: str, wanted: Wanted | None) -> Batch | None:
        key = parts.key_of(path)
        assert key is not None
        try:
            return of_unit(key, parts.decode(path, self.place.read(path), wanted))
        except FileNotFoundError as error:
            raise StoreChangedError from error
        except DamagedFileError as error:
            self.put_aside(error, (key,))
            return None

    def batches(self, wanted: Wanted | None, keys: Collection[str] | None = None) -> list[Batch]:
        """Return the rows of all done units (or of those in `keys`), each unit once; a segment's before a loose part's.

        Raises:
            SchemaError: a newer version wrote a file.
        """
        return self.again(lambda: self._batches(wanted, None if keys is None else set(keys)))

    def _batches(self, wanted: Wanted | None, keys: set[str] | None) -> list[Batch]:
        layout, taken, found = self.layout(), set[str](), list[Batch]()
        for manifest in layout.segments.values():
            fresh = set(manifest.keys) - taken if keys is None else keys.intersection(manifest.keys) - taken
            if fresh and (batch := self.segment(manifest, wanted)):
                found.append(batch.only(fresh))
                taken |= fresh
        rest = layout.parts.keys() - taken if keys is None else keys.intersection(layout.parts) - taken
        found.extend(self.units((layout.parts[key] for key in sorted(rest)), wanted))
        return found
