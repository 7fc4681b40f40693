"""The result files of Gubri et al. (UAI 2022): where they lie, and what their rows say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints

from dumb_bench.errors import InputError
from dumb_bench.published.files import Amount, MissingColumnError, Name, Numbered, Row, Share, read_rows

EXPECTED = ("results_same_arch.csv", "results_dee.csv")
_FILE = re.compile(r"results_.+\.csv")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_Count = Annotated[int, Field(ge=0, le=1_000_000)]
_Some = Annotated[int, Field(ge=1, le=1_000_000)]


class Result(Row):
    """A row: images made on a surrogate, on one victim.

    surrogate_size_ensembles: networks or weight samples held. n_ensemble: of them averaged in one iteration. n_iter:
    iterations. n_random_init: random starts. momentum: its decay. adv_sucess_rate (sic): 1 - the victim's accuracy on
    the `nb_adv` images. `*_acc_original_ex`: accuracies on the clean images.
    """

    model_target: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./+-]{1,300}$")]
    arch_target: Name
    surrogate_type: Name
    surrogate_archs: Name
    surrogate_size_ensembles: Annotated[int, Field(ge=1, le=10_000)]
    norm_type: Literal["2", "inf"]
    norm_max: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    norm_step: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    n_iter: _Some
    n_ensemble: _Some
    n_random_init: _Count = 0
    momentum: Amount | None = None
    shuffle: bool | None = None
    ghost: bool = False
    input_diversity: bool = False
    translation_invariant: bool = False
    adv_fail_rate: Share
    adv_sucess_rate: Share
    adv_norm_mean: Amount | None = None
    adv_norm_max: Amount | None = None
    limit_samples_cycle: _Count | None = None
    limit_cycles: _Count | None = None
    surrogate_acc_original_ex: Share | None = None
    surrogate_acc_adv_ex: Share | None = None
    target_acc_original_ex: Share | None = None
    nb_adv: _Some
    time: Amount | None = None

    def counted(self, rate: float | None) -> int | None:
        """Return a rate over the `nb_adv` images as a whole number, None where it is none."""
        if rate is None:
            return None
        count = round(rate * self.nb_adv)
        return count if abs(count / self.nb_adv - rate) <= 1e-9 else None


class Setting(NamedTuple):
    """What was read of one data set and surrogate architecture. repeated: rows that another file holds as well."""

    dataset: str
    rows: list[Numbered[Result]]
    repeated: int
    missing: list[str]


def read_settings(folder: Path) -> list[Setting]:
    """Return the settings of a folder that is, or holds, the authors' `X_adv`.

    Raises:
        InputError: no file holds results, or a row is malformed.
    """
    root = folder / "X_adv" if (folder / "X_adv").is_dir() else folder
    places = sorted(place for place in root.glob("*/*") if place.is_dir() and any(place.glob("results_*.csv")))
    found = []
    for place in places:
        for name in (place.parent.name, place.name):
            if not _FOLDER.fullmatch(name):
                raise InputError(
                    f"{place.parent}: expected folder names of letters, digits and _ . -, got {name[:80]!r}"
                )
        found.append(_read_setting(folder, place))
    if not any(setting.rows for setting in found):
        lines = "; ".join(line for setting in found for line in setting.missing)
        raise InputError(
            f"{folder}: holds no X_adv/<data set>/<architecture>/results_*.csv with results {lines}".strip()
        )
    return found


def _read_setting(folder: Path, place: Path) -> Setting:
    paths = sorted(path for path in place.iterdir() if _FILE.fullmatch(path.name) and path.is_file())
    missing = [
        f"missing: {(place / name).relative_to(folder)}" for name in EXPECTED if not (place / name).is_file()
    ]  # fmt: skip
    kept: list[Numbered[Result]] = []
    known: dict[Result, Path] = {}
    repeated = 0
    for path in paths:
        try:
            rows = read_rows(path, Result)
        except MissingColumnError as error:
            missing.append(f"not imported: {error}".replace(str(path), str(path.relative_to(folder)), 1))
            continue
        for item in rows:
            _check(item)
            identity = item.row.model_copy(update={"time": None})
            if known.setdefault(identity, path) != path:
                repeated += 1
                continue
            kept.append(item)
    return Setting(place.parent.name, kept, repeated, missing)


def _check(item: Numbered[Result]) -> None:
    row = item.row
    if abs(row.adv_fail_rate + row.adv_sucess_rate - 1) > 1e-6:
        raise InputError(f"{item.place}: adv_fail_rate and adv_sucess_rate: expected a sum of 1")
    if row.n_ensemble > row.surrogate_size_ensembles:
        raise InputError(
            f"{item.place}: n_ensemble: expected at most surrogate_size_ensembles = {row.surrogate_size_ensembles}, "
            f"got {row.n_ensemble}"
        )
    if row.counted(row.adv_sucess_rate) is None:
        raise InputError(f"{item.place}: adv_sucess_rate: expected a whole number of nb_adv = {row.nb_adv} images")
