"""Residuals of a two-way layout from its row and column effects, many blocks at once, with pairs missing or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dumb_bench.report.design import Codes, first_places

Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]

_TOLERANCE, _SWEEPS = 1e-7, 500


def free_pairs(row: Codes, column: Codes, block: Codes) -> Codes:
    """Return each block's degrees of freedom: pairs - rows - columns + connected parts.

    row, column, block (T,): codes from 0 without gaps, one entry a pair; a row or column belongs to one block.
    (m - 1)(n - 1) of a complete block of m rows and n columns.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    graph = coo_array((np.ones(len(row)), (row, rows + column)), shape=(rows + columns, rows + columns))
    part = connected_components(graph, directed=False)[1][row].astype(np.int64)
    counted = []
    for codes in (row, column, part):
        counted.append(np.bincount(block[first_places(codes)], minlength=int(block.max()) + 1))
    return np.asarray(np.bincount(block) - counted[0] - counted[1] + counted[2], dtype=np.int64)


def swept(row: Codes, column: Codes, values: Reals, wanted: Bools) -> Reals:
    """Return the least-squares residuals of `values` (T, R) from row and column effects; 0 for pairs not `wanted`.

    Row and column means are taken out in turn (alternating projections: von Neumann); once is enough for a complete
    block. wanted (T,): whole blocks; one without a degree of freedom has the residual 0.
    """
    from scipy.sparse import csr_array

    found = np.zeros_like(values)
    kept = np.flatnonzero(wanted)
    if not len(kept):
        return found
    means = []
    for codes in (row[kept], column[kept]):
        share = (1.0 / np.maximum(np.bincount(codes), 1))[codes]
        shape = (int(codes.max()) + 1, len(codes))
        means.append((codes, csr_array((share, (codes, np.arange(len(codes)))), shape=shape)))
    left = values[kept]
    small = _TOLERANCE * float(np.abs(left).max())
    for _ in range(_SWEEPS):
        largest = 0.0
        for codes, average in means:
            taken = np.asarray(average @ left)
            largest = max(largest, float(np.abs(taken).max()))
            left = left - taken[codes]
        if largest <= small:
            break
    found[kept] = left
    return found
