"""What becomes of the cells of a group: sums, means and the like, in parts that can be put together later.

A function reduces cells to parts, arrays with one element for each group; parts of the same groups merge; of the parts
of all cells comes the result. Knows neither windows nor series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from meter.core.arrays import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

Parts = list[Array]


class Cells(NamedTuple):
    """Cells of some groups, those of a group beside each other along the last axis.

    `values` [..., c]; `gaps` bool of the same shape, or None where no cell is missing; `starts` intp[g] where each
    group begins and `sizes` int64[g] how many cells it has, at least one. Cell i was read at `ts[i % n]`, int64[n].
    """

    values: Array
    gaps: Array | None
    starts: Array
    sizes: Array
    ts: Array

    def filled(self, value: float) -> Array:
        """The values with another one in the missing cells."""
        return self.values if self.gaps is None else np.where(self.gaps, self.values.dtype.type(value), self.values)

    def counts(self) -> Array:
        """How many cells of each group are there, int64[..., g]."""
        if self.gaps is not None:
            return np.add.reduceat(~self.gaps, self.starts, axis=-1, dtype=np.int64)
        return np.array(np.broadcast_to(self.sizes, (*self.values.shape[:-1], len(self.sizes))))


class Result(NamedTuple):
    """One value for each group; `faults` says where there is none, bool of that shape, and why."""

    values: Array
    faults: tuple[tuple[Array, str], ...] = ()


NOTHING: Final = "nothing was read"


class Function(Protocol):
    """One way to make one value of several."""

    complete: bool
    """Whether a missing cell makes the result missing, which would be a smaller, wrong number without it."""

    def reduce(self, cells: Cells) -> Parts:
        """The parts of some cells; the arrays are new ones."""

    def merge(self, mine: Sequence[Array], more: Sequence[Array]) -> Parts:
        """The parts of the cells of both; where the order matters `more` are the later ones."""

    def empty(self, groups: int) -> Parts:
        """The parts of no cells."""

    def result(self, parts: Sequence[Array]) -> Result:
        """What the function makes of all cells."""


class FloatSum:
    """The sum of floats. Pairwise inside of a reduction and compensated between them, so the error stays at a few ulp.

    Source: T. J. Dekker, A floating-point technique for extending the available precision, 1971; D. Knuth, TAOCP 2,
    4.2.2, theorem B: the error of an addition is itself a float.
    """

    complete = True

    def reduce(self, cells: Cells) -> Parts:
        """Sum and error."""
        total = np.add.reduceat(cells.filled(0), cells.starts, axis=-1)
        return [total, np.zeros_like(total)]

    def merge(self, mine: Sequence[Array], more: Sequence[Array]) -> Parts:
        """The sum of both, and what rounding took from it."""
        one, other = mine[0], more[0]
        total = one + other
        back = total - one
        error = (one - (total - back)) + (other - back)
        return [total, mine[1] + more[1] + error]

    def empty(self, groups: int) -> Parts:
        """Zeros."""
        return [np.zeros(groups), np.zeros(groups)]

    def result(self, parts: Sequence[Array]) -> Result:
        """A sum beyond the greatest float is missing."""
        return _finite(parts[0] + parts[1], "the sum does not fit f64")

    def divided(self, parts: Sequence[Array], counts: Array) -> Result:
        """The sum by a number of cells that is not 0."""
        return _finite((parts[0] + parts[1]) / counts, "the sum of the values does not fit f64")


class WholeSum:
    """The sum of integers, exact: each is cut into 32 bits and the rest, which are added apart."""

    complete = True

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        limits = np.iinfo(dtype)
        self._low, self._high = int(limits.min) >> 32, int(limits.max) >> 32
        self._why = f"the sum does not fit {'u64' if dtype.kind == 'u' else 'i64'}"

    def reduce(self, cells: Cells) -> Parts:
        """Sum of what is above 32 bits, and of the lower 32 bits; what these come to above 32 bits is carried."""
        values = cells.filled(0)
        high = np.add.reduceat((values >> 32).view(np.int64), cells.starts, axis=-1)
        low = np.add.reduceat((values & _LOW[values.dtype]).view(np.int64), cells.starts, axis=-1)
        return [high + (low >> 32), low & 0xFFFFFFFF]

    def merge(self, mine: Sequence[Array], more: Sequence[Array]) -> Parts:
        """As whole numbers are added by hand."""
        low = mine[1] + more[1]
        return [mine[0] + more[0] + (low >> 32), low & 0xFFFFFFFF]

    def empty(self, groups: int) -> Parts:
        """Zeros."""
        return [np.zeros(groups, np.int64), np.zeros(groups, np.int64)]

    def result(self, parts: Sequence[Array]) -> Result:
        """A sum that the type does not hold is missing."""
        high, low = parts
        beyond = (high < self._low) | (high > self._high)
        values = ((high.view(np.uint64) << 32) | low.view(np.uint64)).view(self._dtype)
        return Result(values, ((beyond, self._why),)) if beyond.any() else Result(values)

    def divided(self, parts: Sequence[Array], counts: Array) -> Result:
        """The exact quotient, rounded once."""
        high, low = parts
        if (abs(high) < 1 << 20).all():
            return Result((high * 4294967296.0 + low) / counts)  # below 2^53 a float is exact
        wholes = zip(high.ravel().tolist(), low.ravel().tolist(), counts.ravel().tolist(), strict=True)
        quotients = [((above << 32) + below) / count for above, below, count in wholes]
        return Result(np.array(quotients).reshape(high.shape))


class Mean:
    """The arithmetic mean of the cells that are there, f64."""

    complete = False

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._sum = FloatSum() if dtype.kind == "f" else WholeSum(dtype)

    def reduce(self, cells: Cells) -> Parts:
        """The parts of the sum, and how many there are."""
        return [*self._sum.reduce(cells), cells.counts()]

    def merge(self, mine: Sequence[Array], more: Sequence[Array]) -> Parts:
        """All are added."""
        return [*self._sum.merge(mine[:-1], more[:-1]), mine[-1] + more[-1]]

    def empty(self, groups: int) -> Parts:
        """Zeros."""
        return [*self._sum.empty(groups), np.zeros(groups, np.int64)]

    def result(self, parts: Sequence[Array]) -> Result:
        """The mean of nothing is missing."""
        counts = parts[-1]
        return _there(self._sum.divided(parts[:-1], np.maximum(counts, 1)), counts)


class Extreme:
    """The least or the greatest of the cells that are there, in their type."""

    complete = False

    def __init__(self, dtype: np.dtype[Any], *, greatest: bool) -> None:
        self._dtype = dtype
        self._pick = np.maximum if greatest else np.minimum
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        self._neutral = limits.min if greatest else limits.max

    def reduce(self, cells: Cells) -> Parts:
        """The extreme, and how many there are."""
        return [self._pick.reduceat(cells.filled(self._neutral), cells.starts, axis=-1), cells.counts()]

    def merge(self, mine: Sequence[Array], more: Sequence[Array]) -> Parts:
        """The extreme of both."""
        return [self._pick(mine[0], more[0]), mine[1] + more[1]]

    def empty(self, groups: int) -> Parts:
        """What no value goes beyond."""
        return [np.full(groups, self._neutral, self._dtype), np.zeros(groups, np.int64)]

    def result(self, parts: Sequence[Array]) -> Result:
        """The extreme of nothing is missing."""
        return _there(Result(parts[0]), parts[1])


class Last:
    """The value that was read last, of those that are there; the cells of a group are in the order of their times."""

    complete = False

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    def reduce(self, cells: Cells) -> Parts:
        """The last value, when it was read, and whether there is one."""
        if cells.gaps is None:
            last = cells.starts + cells.sizes - 1
            return [cells.values[last], cells.ts[last % len(cells.ts)], np.ones(len(last), np.int64)]
        last = np.maximum.reduceat(np.where(cells.gaps, -1, np.arange(len(cells.gaps))), cells.starts)
        ts = np.where(last < 0, _BEFORE, cells.ts[last % len(cells.ts)])
        return [cells.values[last], ts, (last >= 0).astype(np.int64)]

    def merge(self, mine: Sequence[Array], more: Sequence[Array]) -> Parts:
        """The later one."""
        later = more[1] >= mine[1]
        return [np.where(later, new, old) for old, new in zip(mine, more, strict=True)]

    def empty(self, groups: int) -> Parts:
        """Before everything."""
        return [np.zeros(groups, self._dtype), np.full(groups, _BEFORE), np.zeros(groups, np.int64)]

    def result(self, parts: Sequence[Array]) -> Result:
        """The last of nothing is missing."""
        return _there(Result(parts[0]), parts[2])


class Quantile:
    """A quantile of the cells that are there, f64; between two neighbours by their distance. Keeps every cell.

    Source: R. J. Hyndman and Y. Fan, Sample quantiles in statistical packages, 1996, definition 7.
    """

    complete = False

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile

    def reduce(self, cells: Cells) -> Parts:
        """The cells of each group, as a tuple of arrays."""
        width = cells.values.shape[-1]
        values = cells.values.reshape(-1, width)
        gaps = None if cells.gaps is None else cells.gaps.reshape(-1, width)
        begins = cells.starts.tolist()
        ends = [*begins[1:], width]
        kept = []
        for row, line in enumerate(values):
            if gaps is None:
                kept += [(line[begin:end],) for begin, end in zip(begins, ends, strict=True)]
            else:
                there = ~gaps[row]
                kept += [(line[b:e][there[b:e]],) for b, e in zip(begins, ends, strict=True)]
        return [_objects(kept).reshape(*cells.values.shape[:-1], len(begins))]

    def merge(self, mine: Sequence[Array], more: Sequence[Array]) -> Parts:
        """The cells of both."""
        return [mine[0] + more[0]]

    def empty(self, groups: int) -> Parts:
        """No cells."""
        return [_objects([()] * groups)]

    def result(self, parts: Sequence[Array]) -> Result:
        """The quantile of nothing is missing."""
        shape = parts[0].shape
        groups = parts[0].ravel().tolist()
        arrays = [array for group in groups for array in group]
        counts = np.array([sum(map(len, group)) for group in groups], np.int64)
        if not counts.any():
            return _there(Result(np.zeros(shape)), counts.reshape(shape))
        values = np.concatenate(arrays)
        values = values[np.lexsort((values, np.repeat(np.arange(len(groups)), counts)))].astype(np.float64)
        begin = np.cumsum(counts) - counts
        # Of an empty group any place will do: nothing is taken from it.
        last = np.maximum(counts - 1, 0)
        place = last * self._quantile
        below = np.minimum(np.floor(place).astype(np.intp), last)
        weight = place - below
        low = values[np.minimum(begin + below, len(values) - 1)]
        high = values[np.minimum(begin + np.minimum(below + 1, last), len(values) - 1)]
        return _there(Result(_between(low, high, weight).reshape(shape)), counts.reshape(shape))


def function(name: str, dtype: np.dtype[Any], quantile: float) -> Function:
    """The function of a name, for cells of a type."""
    if name == "sum":
        return FloatSum() if dtype.kind == "f" else WholeSum(dtype)
    if name == "mean":
        return Mean(dtype)
    if name == "last":
        return Last(dtype)
    if name == "quantile":
        return Quantile(quantile)
    return Extreme(dtype, greatest=name == "max")


_BEFORE: Final = -(2**63)
"""The time of what was not read."""

_LOW: Final = {np.dtype(np.uint64): np.uint64(0xFFFFFFFF), np.dtype(np.int64): np.int64(0xFFFFFFFF)}


def _there(found: Result, counts: Array) -> Result:
    """A result without those groups that have no cells."""
    none = counts == 0
    return found._replace(faults=(*found.faults, (none, NOTHING))) if none.any() else found


def _finite(values: Array, why: str) -> Result:
    finite = np.isfinite(values)
    return Result(values) if finite.all() else Result(values, ((~finite, why),))


def _between(low: Array, high: Array, weight: Array) -> Array:
    """The value at a part of the way between two, also where their distance is no float."""
    way = high - low
    found: Array = np.where(weight < 0.5, low + way * weight, high - way * (1 - weight))
    if not np.isfinite(way).all():
        found = np.where(np.isfinite(way), found, low * (1 - weight) + high * weight)
    return found


def _objects(items: Sequence[tuple[Array, ...]]) -> Array:
    """An array of tuples; numpy by itself would look into them."""
    return np.fromiter(items, dtype=object, count=len(items))
