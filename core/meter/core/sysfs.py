"""Attributes of devices: small files below /sys that hold one value each and are read at every poll."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meter.core.kept import KeptFiles
from meter.core.quantity import Missing

if TYPE_CHECKING:
    from meter.core.plugin import Context

PAGE: Final = 4096
"""The most that an attribute holds."""
_TOLD: Final = 64


class Attributes:
    """Reads attributes by descriptors that are kept open.

    What cannot be read is missing with the file and what the kernel says; the next reading may succeed.
    """

    __slots__ = ("_context", "_files")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._files = KeptFiles(context, PAGE)

    def raw(self, path: str) -> bytes:
        """The content. Raises: OSError."""
        return self._files.read(path)

    def data(self, path: str) -> bytes | Missing:
        """The content."""
        try:
            return self._files.read(path)
        except OSError as error:
            return Missing(f"{path}: {error.strerror}")

    def text(self, path: str) -> str | Missing:
        """A word or a line, without the white space around it."""
        data = self.data(path)
        return data if isinstance(data, Missing) else data.decode("utf-8", "backslashreplace").strip()

    def number(self, path: str) -> int | Missing:
        """An integer; missing with what there is where it is none."""
        data = self.data(path)
        if isinstance(data, Missing):
            return data
        try:
            return int(data)
        except ValueError:
            return Missing(f"{path} holds {data[:_TOLD]!r}, which is no number")

    def names(self, folder: str) -> list[str]:
        """What is in a folder, sorted; empty where it cannot be listed, as of a device that is being removed."""
        try:
            return sorted(self._context.listdir(folder))
        except OSError:
            return []

    def sweep(self) -> None:
        """Close what has not been read since the last sweep."""
        self._files.sweep()

    def close(self) -> None:
        """Close everything."""
        self._files.close()
