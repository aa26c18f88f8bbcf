"""The source `memory`, on made meminfo files and on the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from meter.core.plugin import Missing, Retry
from tests.fake import SECOND, Mounted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMINFO = """\
MemTotal:       16000000 kB
MemFree:         4000000 kB
MemAvailable:   11000000 kB
Buffers:          500000 kB
Cached:          6000000 kB
SwapCached:          111 kB
SUnreclaim:       222222 kB
KReclaimable:    1500001 kB
SReclaimable:    1500000 kB
"""
STATE = "system.memory.usage/machine/%/machine/%/system.memory.state="
AVAILABLE = "system.memory.linux.available/machine/%/machine/%"
LIMIT = "system.memory.limit/machine/%/machine/%"


def mount(root: Path, text: str) -> Mounted:
    """The source over a /proc whose meminfo has this text."""
    (root / "proc").mkdir()
    (root / "proc" / "meminfo").write_text(text)
    return Mounted("memory", sysroot=root)


def test_states_are_those_of_free(tmp_path: Path) -> None:
    """Bytes of 1024 to the kB; reclaimable slabs are cache; what is left is used; the states add up to the limit."""
    mounted = mount(tmp_path, MEMINFO)

    actual = {name: cell.value for name, cell in mounted.cells(SECOND).items()}
    mounted.source.stop()

    assert actual == {
        f"{STATE}used": 4_000_000 * 1024,
        f"{STATE}free": 4_000_000 * 1024,
        f"{STATE}buffers": 500_000 * 1024,
        f"{STATE}cached": 7_500_000 * 1024,
        AVAILABLE: 11_000_000 * 1024,
        LIMIT: 16_000_000 * 1024,
    }


@pytest.mark.parametrize(
    ("field", "missing"),
    [
        ("MemAvailable", [AVAILABLE]),  # before Linux 3.14
        ("SReclaimable", [f"{STATE}cached", f"{STATE}used"]),  # before Linux 2.6.19
        ("Buffers", [f"{STATE}buffers", f"{STATE}used"]),
        ("MemTotal", [f"{STATE}used", LIMIT]),
    ],
)
def test_what_a_kernel_lacks_is_missing(tmp_path: Path, field: str, missing: list[str]) -> None:
    """With the field as the reason, and never 0; what does not need it is there."""
    text = "".join(line for line in MEMINFO.splitlines(keepends=True) if not line.startswith(field + ":"))
    mounted = mount(tmp_path, text)

    cells = mounted.cells(SECOND)
    mounted.source.stop()

    gaps = {name: cell.value.reason for name, cell in cells.items() if isinstance(cell.value, Missing)}
    assert sorted(gaps) == sorted(missing)
    assert all(f"`{field}`" in reason for reason in gaps.values())


def test_more_cache_than_memory_is_missing(tmp_path: Path) -> None:
    """A container's view may mix its limit with the host's cache; used is unknown then, not negative, not 0."""
    mounted = mount(tmp_path, MEMINFO.replace("16000000", " 8000000"))

    cells = mounted.cells(SECOND)
    mounted.source.stop()

    assert isinstance(cells[f"{STATE}used"].value, Missing)
    assert cells[LIMIT].value == 8_000_000 * 1024


def test_a_file_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    """EISDIR stands for whatever the kernel may answer instead."""
    mounted = mount(tmp_path, MEMINFO)
    kept = os.dup(mounted.source._file)  # type: ignore[attr-defined]
    folder = os.open(tmp_path, os.O_RDONLY)
    os.dup2(folder, mounted.source._file)  # type: ignore[attr-defined]
    with pytest.raises(Retry):
        mounted.rows(SECOND)

    os.dup2(kept, mounted.source._file)  # type: ignore[attr-defined]
    assert len(mounted.cells(2 * SECOND)) == 6
    mounted.source.stop()
    os.close(kept)
    os.close(folder)


def free() -> dict[str, int]:
    """What the program `free` shows, in bytes."""
    done = subprocess.run(
        ["free", "-b", "-w"], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode or "buffers" not in done.stdout:
        pytest.skip("this free is not of procps")
    names, numbers = (line.split() for line in done.stdout.splitlines()[:2])
    shown = dict(zip(names, map(int, numbers[1:]), strict=True))
    shown["cached"] = shown.pop("cache")
    return shown


def by_psutil() -> dict[str, int]:
    """What psutil has."""
    found = psutil.virtual_memory()
    return {name: getattr(found, name) for name in ("total", "free", "buffers", "cached", "available")}


NEAR = 4 * 2**20


@pytest.mark.parametrize(
    "read",
    [pytest.param(free, marks=pytest.mark.skipif(shutil.which("free") is None, reason="there is no free")), by_psutil],
)
def test_the_real_machine_agrees_with_others(read: Callable[[], dict[str, int]]) -> None:
    """The limit exactly; each state and what is available between what was read before and after, give or take 4 MiB.

    `used` is what the states of the other reader leave of its total: others count it in other ways.
    """
    mounted = Mounted("memory")
    try:
        for nth in range(1, 51):
            before = read()
            actual = {name: cell.value for name, cell in mounted.cells(nth * SECOND).items()}
            after = read()
            for each in (before, after):
                each["used"] = each["total"] - each["free"] - each["buffers"] - each["cached"]
            ours = {state: actual[STATE + state] for state in ("used", "free", "buffers", "cached")}
            ours["available"] = actual[AVAILABLE]
            assert actual[LIMIT] == before["total"]
            wrong = {
                state: (before[state], value, after[state])
                for state, value in ours.items()
                if not min(before[state], after[state]) - NEAR <= value <= max(before[state], after[state]) + NEAR
            }
            if not wrong:
                break
    finally:
        mounted.source.stop()

    assert wrong == {}
