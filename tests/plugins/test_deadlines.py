"""Built-in sources that may have to wait for somebody say so, and are polled beside the others from the start."""

from __future__ import annotations

import threading
import tomllib

import pytest

from meter.core import Backend
from meter.core.polling import STUCK_NS
from tests.fake import PLUGINS

MAY_WAIT = {
    "amdgpu": "as nvml",
    "battery": "the firmware asks the battery over a slow bus",
    "cpufreq": "the kernel asks the hardware, and older ones wait 10 ms for each CPU",
    "nvml": "the driver waits for the firmware of the GPU, and hangs where that does",
    "filesystem": "statvfs of a file system on another host, or on a disk that sleeps",
    "hwmon": "as thermal",
    "thermal": "sensors are read over slow buses or by the firmware",
}
"""All others read what the kernel has in memory."""


def test_who_may_wait_says_so() -> None:
    """A new source that reads a device or asks another host belongs into the table."""
    contracts = {path.parent.name: tomllib.loads(path.read_text()) for path in PLUGINS.glob("*/contract.toml")}

    assert {name for name, contract in contracts.items() if "deadline" in contract} == set(MAY_WAIT)


@pytest.mark.parametrize("name", MAY_WAIT)
def test_the_plan_tells_the_engine(name: str) -> None:
    """So long that it gets a thread of its own, and not longer than its interval."""
    plan = Backend("/host").add(name).add("collect").check(assume=True)
    [source] = [each for each in plan.document["plugins"] if each["instance"] == name]

    assert STUCK_NS < source["deadline"] <= source["config"]["interval"]


def test_other_sources_do_not_wait_for_a_file_system() -> None:
    """Each is polled in a thread of its own."""
    backend = Backend("/host").add("uptime").add("filesystem", mountpoints=["/"], filesystems="all").add("collect")
    with backend.mounted().running() as running:
        names = {thread.name for thread in threading.enumerate()}

    assert {"meter-poll", "meter-poll-2"} <= names
    assert {reading.key.metric.name for reading in running.take()} >= {"system.uptime", "system.filesystem.limit"}
