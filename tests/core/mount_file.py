"""A mount file with plugins of its own, whose code must not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meter.contracts.diagnostics import ContractError
from meter.contracts.spans import Words
from meter.core import lock
from meter.core.mounting import Mounting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meter.core.mounts import Ready

PROBE = """\
name = "probe"
version = "1.0.0"
placement = "source"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[[provides.metrics]]
name = "probe.value"
type = "f64"
unit = "J"
kind = "gauge"
resource = ["machine"]
[config.flag]
type = "bool"
default = false
[config.count]
type = "int"
default = 1
[config.ratio]
type = "float"
default = 1.0
[config.words]
type = "list<str>"
default = []
[config.secret-file]
type = "path"
access = "read"
default = "/dev/null"
"""
SINK = """\
name = "sink"
version = "1.0.0"
placement = "output"
summary = "s"
author = "a"
licence = "BSD-3-Clause"
[config.path]
type = "path"
access = "write"
default = "/dev/null"
"""


class World:
    """A folder with plugins and a mount file."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.file = place / "meter.toml"
        self.lock_file = place / "meter.lock"
        self.plugins = place / "plugins"
        for name, text in (("probe", PROBE), ("sink", SINK)):
            self.contract(name, text)

    def contract(self, name: str, text: str) -> None:
        """Write a contract; its code must not run."""
        (self.plugins / name).mkdir(parents=True, exist_ok=True)
        (self.plugins / name / "contract.toml").write_text(text)
        (self.plugins / name / "plugin.py").write_text("raise SystemExit('a plugin was imported')")

    def mounts(self, **options: Any) -> Mounting:
        """The mount file as a new process sees it."""
        return Mounting(str(self.file), plugin_dirs=[str(self.plugins)], **options)

    def mount(self, mountpoint: str, *words: str) -> Ready:
        """`meter mount`."""
        return self.mounts().mount(mountpoint, words, ["meter", "mount", mountpoint])

    def umount(self, mountpoint: str) -> None:
        """`meter umount`."""
        self.mounts().umount(mountpoint, Words(["meter", "umount", mountpoint]).span(2))

    def state(self) -> tuple[bytes | None, bytes | None]:
        """The bytes of mount file and lock."""
        read = [path.read_bytes() if path.exists() else None for path in (self.file, self.lock_file)]
        return read[0], read[1]

    def locked(self) -> dict[str, Any]:
        """The lock's document."""
        return lock.read(str(self.lock_file))


def refused(call: Callable[[], Any]) -> list[str]:
    """The codes of the errors with which a call is refused."""
    with pytest.raises(ContractError) as caught:
        call()
    for diagnostic in caught.value.diagnostics:
        assert diagnostic.to_json()["message"]
    return [diagnostic.code for diagnostic in caught.value.diagnostics if diagnostic.level == "error"]
