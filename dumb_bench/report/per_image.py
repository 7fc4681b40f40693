"""Who was right on which image: victims and surrogates, clean and attacked, image by image.

Read from `predictions`, `attacks` and `models`, only the rows that are needed, piece by piece: the lists of a large
grid are never in memory together. What the tables do not hold (results published without predictions, say) is unknown,
never an error; what is damaged is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.chosen_rows import Chosen, label_lists, scored_as
from dumb_bench.report.clean_labels import CleanLabels, Truth
from dumb_bench.report.image_term import ImageBlocks
from dumb_bench.store.ids import ranges

if TYPE_CHECKING:
    import pandas as pd

    from dumb_bench.report.load import Results

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]
Labels = NDArray[np.int16]

UNKNOWN = -1
"""In an array of labels: not known, or no image (image sources with fewer images are padded)."""


class PerImage(NamedTuple):
    """Flags (T, N), one row a test, one column an image in the order of `images.index`; false where unknown.

    rows: (T,) the tests' positions in the frame. wrong: the victim is wrong on the delivered image; it is known where
    `answered`. correct: the victim is right on the clean image under the same delivery; known, and `wrong` with it,
    where `known`. surrogate_correct, surrogate_fooled: the surrogate is right clean; and wrong attacked; known, and all
    of the above, where `surrogate_known`.
    """

    rows: Rows
    answered: Flags
    known: Flags
    surrogate_known: Flags
    wrong: Flags
    correct: Flags
    surrogate_correct: Flags
    surrogate_fooled: Flags

    @property
    def success(self) -> Flags:
        """Whether the victim is right on the clean image and wrong on the delivered one."""
        return self.correct & self.wrong


class ImageReader:
    """Reads some tests of a result folder image by image. `tests`: rows of `results.tests`, any columns added."""

    def __init__(self, results: Results, tests: pd.DataFrame) -> None:
        self._tables = results.tables
        self.truth = Truth.of(results.images, tests)
        self.clean = CleanLabels(results, tests, self.truth)
        self._scored = Chosen(scored_as(results, tests))
        attack_ids = tests["attack_id"].to_numpy(dtype=object)
        self._sets = Chosen(attack_ids)
        self._attacked = np.full((len(self._sets.ids), self.truth.width), UNKNOWN, dtype=np.int16)
        for found in self._sets.rows(self._tables, "attacks", "attack_id", ["surrogate_predictions"]):
            label_lists(found.table.column("surrogate_predictions"), self._attacked, found.places)

    @property
    def width(self) -> int:
        """The number N of images of the largest set."""
        return self.truth.width

    def right_clean(self, row: int) -> Flags:
        """Return the images (N,) that the victim of a test gets right clean; false where unknown."""
        truth = self.truth.labels[self.truth.row[row]]
        right: Flags = (truth != UNKNOWN) & (self.clean.labels[self.clean.victim_row[row]] == truth)
        return right

    def blocks(self) -> Iterator[PerImage]:
        """Yield all tests whose victim's labels are stored, in no order, some thousands at a time."""
        scored = self._scored
        for found in scored.rows(self._tables, "predictions", "test_id", ["predictions"]):
            labels = np.full((len(found.places), self.truth.width), UNKNOWN, dtype=np.int16)
            label_lists(found.table.column("predictions"), labels, np.arange(len(found.places)))
            first = scored.starts[found.places]
            counts = scored.starts[found.places + 1] - first
            yield self._flags(scored.order[ranges(first, counts)], np.repeat(labels, counts, axis=0))

    def _flags(self, rows: Rows, delivered: Labels) -> PerImage:
        truth = self.truth.labels[self.truth.row[rows]]
        victim, surrogate = self.clean.of_victims(rows), self.clean.of_surrogates(rows)
        attacked = self._attacked[self._sets.place[rows]]
        answered = (truth != UNKNOWN) & (delivered != UNKNOWN)
        known = answered & (victim != UNKNOWN)
        surrogate_known = known & (surrogate != UNKNOWN) & (attacked != UNKNOWN)
        right = surrogate_known & (surrogate == truth)
        return PerImage(
            rows,
            answered,
            known,
            surrogate_known,
            answered & (delivered != truth),
            known & (victim == truth),
            right,
            right & (attacked != truth),
        )


def outcomes(results: Results, tests: pd.DataFrame) -> ImageBlocks:
    """Return the outcomes of single images in some tests, for `image_term`."""
    reader = ImageReader(results, tests)
    blocks = ((block.rows, block.success, block.correct) for block in reader.blocks())
    return ImageBlocks(reader.truth.labels, reader.truth.row, blocks)


def per_image(results: Results, tests: pd.DataFrame) -> PerImage | None:
    """Return the flags of some tests, one row each in the frame's order; None where no labels are stored at all.

    tests: rows of `results.tests` (or of `groups.prepared`), some thousands at most: (T, N) flags are held. For more,
    take `ImageReader.blocks`.

    Raises:
        DamagedFileError: a file of the folder is torn or altered.
    """
    reader = ImageReader(results, tests)
    blocks = list(reader.blocks())
    if not blocks:
        return None
    width = blocks[0].known.shape[1]
    whole = [np.zeros((len(tests), width), dtype=bool) for _ in PerImage._fields[1:]]
    for block in blocks:
        for target, values in zip(whole, block[1:], strict=True):
            target[block.rows] = values
    return PerImage(np.arange(len(tests), dtype=np.int64), *whole)
