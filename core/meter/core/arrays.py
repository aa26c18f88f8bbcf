"""Arrays that nobody can write to: what blocks are made of.

numpy lets whoever has an array make it writeable again, unless it is a view of a read-only one or lies over bytes. So
that is what a block has; whether it does is told by flags and bases, without a look at the values.
"""

from __future__ import annotations

from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES: Final[Mapping[str, np.dtype[Any]]] = MappingProxyType(
    {"f64": np.dtype(np.float64), "i64": np.dtype(np.int64), "u64": np.dtype(np.uint64)}
)
"""How numpy calls the types of metrics."""

_SUMMED: Final = 8192


def is_sealed(array: Array) -> bool:
    """Whether an array is one of a block; `Block.flaw` looks closer."""
    return array.base is not None and not array.flags.writeable


def seal(array: Array) -> Array:
    """An array that nobody can make writeable: a view of a read-only one, as numpy would let what has no base.

    A view of what somebody else may write to is copied; its base must not become read-only.
    """
    base: object = array.base
    if base is None:
        array.setflags(False)  # type: ignore[call-arg]  # numpy takes it; by name it costs twice as much, at every hop
        return array.view()
    if type(base) is bytes or (isinstance(base, np.ndarray) and not (base.flags.writeable or array.flags.writeable)):
        return array
    if _still_written(base):
        return seal(array.copy())
    array.setflags(write=False)
    return array


def read_only(array: Array) -> Array:
    """The same array, which was just made and which nobody else has, read-only."""
    array.setflags(write=False)
    return array


def still_written(array: Array) -> bool:
    """Whether somebody can still write to what an array shows: through itself, or through what it is a view of."""
    base: object = array.base
    if type(base) is np.ndarray:  # the usual case
        return base.flags.writeable or array.flags.writeable
    if type(base) is bytes:  # as what is built of rows: nothing makes these writeable
        return False
    return array.flags.writeable or (base is not None and _still_written(base))


def _still_written(base: object) -> bool:
    """The same of what an array is a view of."""
    if isinstance(base, np.ndarray):
        return base.flags.writeable
    return isinstance(base, bytearray) or (isinstance(base, memoryview) and not base.readonly)


def finite(values: Array) -> bool:
    """Whether floats have neither NaN nor infinities among them.

    Not finite numbers outlive the sum of squares, which is one pass over the memory; where great numbers let it
    overflow, each is looked at. So it is with many: from 10,000 on OpenBLAS would wake threads for the sum.
    """
    if values.size > _SUMMED:
        return bool(np.isfinite(values).all())
    return isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())
