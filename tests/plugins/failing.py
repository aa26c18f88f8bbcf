"""Files of a made tree that the kernel refuses to read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def failing(monkeypatch: pytest.MonkeyPatch, errors: dict[str, int]) -> dict[str, int]:
    """Files whose reading fails, by the end of their path, until the dict that is returned says otherwise."""
    pread = os.pread

    def read(file: int, size: int, offset: int) -> bytes:
        path = os.readlink(f"/proc/self/fd/{file}")
        for end, code in errors.items():
            if path.endswith(end):
                raise OSError(code, os.strerror(code))
        return pread(file, size, offset)

    monkeypatch.setattr(os, "pread", read)
    return errors
