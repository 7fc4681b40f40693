"""Result files of others, read with suspicion: bounded, every cell checked, what is wrong named by file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from dumb_bench.errors import InputError, shown
from dumb_bench.wording import bytes_text, printable

MAX_BYTES = 64_000_000
"""A larger file is refused unread; the largest published one has a quarter of a megabyte."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
"""What a model, a source or an attack is called in the files."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Row(BaseModel):
    """One row of a file; columns that are no field are not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Kind = TypeVar("Kind", bound=Row)


class Numbered(NamedTuple, Generic[Kind]):
    """A row with the file and the line that hold it."""

    row: Kind
    path: Path
    line: int

    @property
    def place(self) -> str:
        """The file and the line, as a message names them."""
        return f"{self.path}, line {self.line}"


class MissingColumnError(InputError):
    """A file lacks a column that is needed."""


def read_rows(path: Path, kind: type[Kind]) -> list[Numbered[Kind]]:
    """Return the rows of a CSV file. An empty cell is an absent one; an unnamed column is not looked at.

    Raises:
        MissingColumnError: a column that the kind needs is not there.
        InputError: the file is too large, is no CSV text, has no rows, or a row is malformed.
        OSError: it cannot be read.
    """
    lines = _lines(path)
    header = next(lines, (1, []))[1]
    named = [name for name in header if name]
    if len(set(named)) != len(named):
        raise InputError(f"{path}, line 1: a column is named twice")
    needed = [name for name, field in kind.model_fields.items() if field.is_required()]
    lost = [name for name in needed if name not in named]
    if lost:
        raise MissingColumnError(f"{path}, line 1: lacks the column {', '.join(map(repr, lost))}")
    found = []
    for line, cells in lines:
        if len(cells) != len(header):
            raise InputError(f"{path}, line {line}: expected {len(header)} cells, got {len(cells)}")
        filled = {name: cell for name, cell in zip(header, cells, strict=True) if name and cell != ""}
        found.append(Numbered(_checked(path, line, filled, kind), path, line))
    if not found:
        raise InputError(f"{path}: holds no rows")
    return found


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{path}: has {bytes_text(size)}; at most {bytes_text(MAX_BYTES)} are read")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text") from error
    if "\0" in text:
        raise InputError(f"{path}: holds a NUL character")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: is no CSV: {error}") from error


def _checked(path: Path, line: int, cells: dict[str, str], kind: type[Kind]) -> Kind:
    try:
        return kind.model_validate(cells)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        column = ".".join(map(str, first["loc"])) or "row"
        value = "nothing" if first["type"] == "missing" else shown(first["input"])
        message = first["msg"].removeprefix("Value error, ")
        text = f"{path}, line {line}: {column}: {message[:1].lower()}{message[1:]}, got {value}"
        raise InputError(printable(text)) from error
