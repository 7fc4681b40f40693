"""The labels that models give clean images, and the truth, for the images that tests attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dumb_bench.report.chosen_rows import Chosen, label_lists, scored_as
from dumb_bench.report.design import distinct

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

Rows = NDArray[np.int64]
Labels = NDArray[np.int16]

_UNKNOWN = -1
_IMAGES = ("task", "image_source", "n_images")


class Truth(NamedTuple):
    """The true labels (S, N) of the sets of images that tests attack, -1 where there is no image or it is unknown.

    row: (T,) each test's set. A set is known by its task, source and number of images: results that were merged may
    hold sets of several sizes; where two of one size differ, their labels are unknown.
    """

    labels: Labels
    row: Rows

    @property
    def width(self) -> int:
        """The number N of columns: images of the largest set."""
        return int(self.labels.shape[1])

    @classmethod
    def of(cls, images: pd.DataFrame, tests: pd.DataFrame) -> Truth:
        """Take the labels out of `images` for the rows of `tests`."""
        first, row = distinct(tests, _IMAGES)
        keys = list(zip(*(tests[name].iloc[first] for name in _IMAGES), strict=True))
        sets = {key: place for place, key in enumerate(keys)}
        width = max((int(key[2]) for key in keys if key[2] == key[2]), default=0)
        labels = np.full((len(sets), width), _UNKNOWN, dtype=np.int16)
        apart = ["task", "image_source", *(["unit_key"] if "unit_key" in images else [])]
        seen: set[tuple[Any, ...]] = set()
        for name, group in images.groupby(apart, dropna=False, sort=True):
            key = (*name[:2], len(group))
            truth = group.sort_values("index")["label"].fillna(_UNKNOWN).to_numpy(dtype=np.int16)
            if key in sets:
                same = key not in seen or (labels[sets[key], : len(truth)] == truth).all()
                labels[sets[key], : len(truth)] = truth if same else _UNKNOWN
                seen.add(key)
        return cls(labels, row)


class CleanLabels:
    """What victims and surrogates answer on the clean images of tests, under the tests' delivery.

    A victim's labels are those of its identity control (the same draws as in the attacked test); without one, those
    that `models.clean_predictions` holds for the whole test split. A surrogate's are those of its model as a victim;
    one of several models has none, nor has one with a modifier.
    """

    def __init__(self, results: Results, tests: pd.DataFrame, truth: Truth) -> None:
        members = _members(results, tests)
        asked: dict[Any, int] = {}
        self.victim_row: Rows = _places(tests, "victim_id", {}, asked)
        self._surrogate_row: Rows = _places(tests, "surrogate_id", members, asked)
        self.labels: Labels = np.full((len(asked), truth.width), _UNKNOWN, dtype=np.int16)
        if "surrogate_modifier" in tests:
            plain = tests["surrogate_modifier"].isna() | (tests["surrogate_modifier"] == "none")
            self._surrogate_row[~plain.to_numpy(dtype=bool)] = -1
        self._from_models(results, asked)
        self._from_identity(results, asked)

    def of_victims(self, rows: Rows) -> Labels:
        """Return the victims' clean labels (R, N) of some tests; -1 where unknown."""
        found: Labels = self.labels[self.victim_row[rows]]
        return found

    def of_surrogates(self, rows: Rows) -> Labels:
        """Return the surrogates' clean labels (R, N) of some tests; -1 where unknown."""
        places = self._surrogate_row[rows]
        found: Labels = np.where(places[:, None] < 0, np.int16(_UNKNOWN), self.labels[places])
        return found

    def _from_models(self, results: Results, asked: dict[Any, int]) -> None:
        wanted: dict[str, list[tuple[Any, int]]] = {}
        for (model, at), place in asked.items():
            wanted.setdefault(str(model), []).append((at, place))
        models = Chosen(np.array(list(wanted), dtype=object))
        columns = ["model_id", "test_source", "test_delivery", "clean_predictions"]
        for found in models.rows(results.tables, "models", "model_id", columns):
            for number in range(found.table.num_rows):
                name, sources, deliveries = (found.table.column(key)[number].as_py() for key in columns[:3])
                lists = found.table.column("clean_predictions")[number]
                places = {pair: i for i, pair in enumerate(zip(sources or (), deliveries or (), strict=True))}
                for (_, source, images, delivery), place in wanted[name]:
                    at = places.get((source, delivery))
                    if at is None or not lists.is_valid or at >= len(lists.values) or images != images:
                        continue
                    labels = lists.values.slice(at, 1)
                    if (labels.value_lengths().to_pylist()[0] or 0) >= images:
                        label_lists(pa.chunked_array([labels]), self.labels, np.array([place]))
                        self.labels[place, int(images) :] = _UNKNOWN

    def _from_identity(self, results: Results, asked: dict[Any, int]) -> None:
        known = ["victim_id", *_IMAGES, "delivery"]
        rows = results.tests[results.tests["attack"] == "identity"].drop_duplicates(known)
        keys = [(row[0], tuple(row[1:])) for row in rows[known].itertuples(index=False, name=None)]
        places = np.array([asked.get(key, -1) for key in keys], dtype=np.int64)
        rows, places = rows[places >= 0], places[places >= 0]
        if rows.empty:
            return
        ids = Chosen(scored_as(results, rows))
        for found in ids.rows(results.tables, "predictions", "test_id", ["predictions"]):
            valid = np.asarray(found.table.column("predictions").is_valid())
            into = places[ids.order[ids.starts[found.places]]]
            self.labels[into[valid]] = _UNKNOWN
            label_lists(found.table.column("predictions"), self.labels, into)


def _places(tests: pd.DataFrame, role: str, members: dict[Any, str], asked: dict[Any, int]) -> Rows:
    """Return each test's place among the (model, condition) that are asked for, which grow."""
    columns = (*_IMAGES, "delivery")
    first, code = distinct(tests, (role, *columns))
    places = []
    for name, *at in tests.iloc[first][[role, *columns]].itertuples(index=False, name=None):
        places.append(asked.setdefault((members.get(name, name), tuple(at)), len(asked)))
    return np.array(places, dtype=np.int64)[code]


def _members(results: Results, tests: pd.DataFrame) -> dict[Any, str]:
    """Return the one model of each surrogate that is just one model, aggregated otherwise; from the plan."""
    surrogates = (results.tables.plan or {}).get("surrogates", {})
    asked = set(tests["surrogate_id"].dropna())
    return {
        name: entry["members"][0] for name, entry in surrogates.items() if name in asked and len(entry["members"]) == 1
    }
