"""Variables of meter: what they say holds for Python as for the command line, where an argument says nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def sysroot(given: str | os.PathLike[str] | None) -> str | None:
    """The folder below which /proc and /sys are read: the one that is given, else $METER_SYSROOT; None for neither."""
    return os.environ.get("METER_SYSROOT") or None if given is None else os.fspath(given)


def plugin_dirs(given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Folders with further plugins: those that are given, else those of $METER_PLUGIN_DIR, with a `:` between them.

    A text is a folder, and not many of one letter.
    """
    folders = [os.fspath(each) for each in ([given] if isinstance(given, str | os.PathLike) else given)]
    return folders or list(filter(None, os.environ.get("METER_PLUGIN_DIR", "").split(os.pathsep)))


def mount_file(given: str | os.PathLike[str] | None) -> str:
    """The mount file: the one that is given, $METER_FILE, ./meter.toml, then that of the user's configuration folder.

    `meter.toml` where there is none yet.
    """
    named = os.environ.get("METER_FILE") if given is None else os.fspath(given)
    if named:
        return named
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return next(filter(os.path.exists, ("meter.toml", os.path.join(home, "meter", "meter.toml"))), "meter.toml")
