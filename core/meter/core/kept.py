"""Files that are kept open, as opening costs more than reading: those of many short-lived things."""

from __future__ import annotations

import os
from contextlib import suppress
from resource import RLIMIT_NOFILE, getrlimit
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from meter.core.plugin import Context


def room() -> int:
    """How many descriptors a source may keep: a quarter of those that the system allows, at most 1024."""
    soft = getrlimit(RLIMIT_NOFILE)[0]
    return 1024 if soft < 0 else min(1024, soft // 4)  # negative is unlimited


class KeptFiles:
    """Reads small files by descriptors that it keeps, until a sweep finds that they were not read any more.

    So many are kept as `room` says; what exceeds them is opened each time. A kept file that cannot be read any more is
    opened anew: what it was of has ended, and another may have its name.

    Args: `size` is how many bytes of a file are read at most.
    """

    __slots__ = ("_cap", "_context", "_kept", "_size", "_used")

    def __init__(self, context: Context, size: int) -> None:
        self._context = context
        self._size = size
        self._kept: dict[Hashable, int] = {}
        self._used: set[Hashable] = set()
        self._cap = room()

    def read(self, path: str, key: Hashable = None) -> bytes:
        """The content; `key` tells the file from others that had its path. Raises: OSError."""
        key = path if key is None else key
        self._used.add(key)
        kept = self._kept.get(key)
        if kept is not None:
            with suppress(OSError):
                return os.pread(kept, self._size, 0)
            os.close(self._kept.pop(key))
        file = self._context.open(path)
        try:
            text = os.pread(file, self._size, 0)
        except OSError:
            os.close(file)
            raise
        if len(self._kept) < self._cap:
            self._kept[key] = file
        else:
            os.close(file)
        return text

    def sweep(self) -> None:
        """Close what has not been read since the last sweep."""
        for key in self._kept.keys() - self._used:
            os.close(self._kept.pop(key))
        self._used.clear()

    def close(self) -> None:
        """Close everything."""
        self._used.clear()
        self.sweep()
