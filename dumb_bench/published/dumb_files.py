"""The result files of Alecci et al. (RAID 2023): where they lie, and what their rows say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field

from dumb_bench.errors import InputError, unknown
from dumb_bench.published.attacks import DUMB
from dumb_bench.published.files import Amount, Kind, Name, Numbered, Row, Share, read_rows

_EVALUATION = re.compile(r"evaluations_(.+)\.csv")
_TASK = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")


def _balance(text: object) -> str:
    parts = re.fullmatch(r"([0-9]{1,2})[/_]([0-9]{1,2})", str(text))
    if not parts or int(parts[1]) + int(parts[2]) != 100:
        raise ValueError("expected two percentages that sum to 100, such as 20/80 or 20_80")
    return f"{int(parts[1])}/{int(parts[2])}"


Balance = Annotated[str, BeforeValidator(_balance)]


class Network(NamedTuple):
    """A trained network as the files name it; balance with a slash."""

    source: str
    architecture: str
    balance: str

    def __str__(self) -> str:
        return f"{self.architecture} {self.source} {self.balance}"


class Evaluation(Row):
    """A row of `evaluations_<Attack>.csv`. `source_dataset` is both the surrogate's source and the images'."""

    source_dataset: Name
    attack: Name
    source_model: Name
    source_balancing: Balance
    target_model: Name
    target_dataset: Name
    target_balancing: Balance
    asr: Share
    asr_0: Share
    asr_1: Share

    @property
    def surrogate(self) -> Network:
        """The network that the images were made on."""
        return Network(self.source_dataset, self.source_model, self.source_balancing)

    @property
    def victim(self) -> Network:
        """The network that was attacked."""
        return Network(self.target_dataset, self.target_model, self.target_balancing)


class Measured(Row):
    """A row of `history/<task>/<Attack>.csv`: a strength tried on the surrogate itself."""

    attack: Name
    model: Name
    balance: Balance
    dataset: Name
    ssim: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
    eps: Amount
    asr: Share
    asr_0: Share
    asr_1: Share

    @property
    def surrogate(self) -> Network:
        """The network that the images were made on."""
        return Network(self.dataset, self.model, self.balance)


class Best(Row):
    """A row of `history/<task>/all_eps.csv`: the strength that was used."""

    attack: Name
    model: Name
    dataset: Name
    balance: Balance
    best_eps: Amount | None = None

    @property
    def surrogate(self) -> Network:
        """The network that the images were made on."""
        return Network(self.dataset, self.model, self.balance)


class Baseline(Row):
    """A row of `baseline_<task>.csv`: F1 on clean test images; `source_dataset` is whose images."""

    source_dataset: Name
    target_model: Name
    target_dataset: Name
    target_balancing: Balance
    baseline_f1: Share

    @property
    def network(self) -> Network:
        """The network that was tested."""
        return Network(self.target_dataset, self.target_model, self.target_balancing)


class TaskFiles(NamedTuple):
    """What was read of one task. evaluations, history: attack -> rows. missing: files that are not there."""

    task: str
    evaluations: dict[str, list[Numbered[Evaluation]]]
    history: dict[str, list[Numbered[Measured]]]
    best: list[Numbered[Best]]
    baseline: list[Numbered[Baseline]]
    missing: list[str]
    unread: list[str]


def read_folder(folder: Path) -> list[TaskFiles]:
    """Return the tasks of a folder that is, or holds, the authors' `results`.

    Raises:
        InputError: there are no evaluation files, an attack or a task has no known name, or a row is malformed.
    """
    root = folder / "results" if (folder / "results").is_dir() else folder
    place = root / "attacks" / "evaluation"
    tasks = sorted(entry for entry in place.iterdir() if entry.is_dir()) if place.is_dir() else []
    read = [_read_task(folder, root, entry) for entry in tasks]
    found = [task for task in read if task.evaluations]
    if not found:
        raise InputError(f"{folder}: holds no results/attacks/evaluation/<task>/evaluations_<Attack>.csv")
    return found


def _read_task(folder: Path, root: Path, place: Path) -> TaskFiles:
    task = place.name
    if not _TASK.fullmatch(task):
        raise InputError(f"{place.parent}: expected task names of letters, digits and _, got the folder {task[:80]!r}")
    evaluations, unread = {}, []
    for path in sorted(place.iterdir()):
        named = _EVALUATION.fullmatch(path.name)
        if not named or not path.is_file():
            unread.append(str(path.relative_to(folder)))
            continue
        if named[1] not in DUMB:
            raise InputError(f"{path}: {unknown('attack', named[1], DUMB)}")
        evaluations[named[1]] = _of_attack(read_rows(path, Evaluation), named[1])
    history_of = root / "attacks" / "history" / task
    wanted: dict[str, Path] = {name: history_of / f"{name}.csv" for name in DUMB}
    best, baseline = history_of / "all_eps.csv", root / "models" / "baseline" / f"baseline_{task}.csv"
    asked = [place / f"evaluations_{name}.csv" for name in DUMB] + [*wanted.values(), best, baseline]
    missing = [str(path.relative_to(folder)) for path in asked if not path.is_file()]
    similarity = root / "models" / "similarity" / f"similarity_{task}.csv"
    return TaskFiles(
        task=task,
        evaluations=evaluations,
        history={name: _of_attack(read_rows(path, Measured), name) for name, path in wanted.items() if path.is_file()},
        best=_known(read_rows(best, Best)) if best.is_file() else [],
        baseline=read_rows(baseline, Baseline) if baseline.is_file() else [],
        missing=missing,
        unread=unread + ([str(similarity.relative_to(folder))] if similarity.is_file() else []),
    )


def _of_attack(rows: list[Numbered[Kind]], name: str) -> list[Numbered[Kind]]:
    for item in rows:
        if item.row.attack != name:  # type: ignore[attr-defined]
            raise InputError(f"{item.place}: attack: expected {name!r} as in the file's name")
    return rows


def _known(rows: list[Numbered[Best]]) -> list[Numbered[Best]]:
    for item in rows:
        if item.row.attack not in DUMB:
            raise InputError(f"{item.place}: {unknown('attack', item.row.attack, DUMB)}")
    return rows
