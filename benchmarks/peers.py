"""The peers: how each is found, configured to collect the same, started, and its collections counted.

A peer that is not installed is said to be absent, with the command that installs it.
"""

from __future__ import annotations

import glob
import http.client
import os
import shutil
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.processes import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROUPS: Final = ("cpu", "memory", "disk", "network", "load")
"""What is collected, in the names of meter's sources."""

_PROGRAMS: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_VENV: Final = "~/.cache/metermount-benchmarks"

COLLECTD: Final = "apt-get install --no-install-recommends collectd-core"
NODE_EXPORTER: Final = "apt-get install --no-install-recommends prometheus-node-exporter"
PERF: Final = "apt-get install --no-install-recommends linux-perf"
GLANCES: Final = (
    f"python3 -m venv --without-pip {_VENV} && python3 -m pip --python {_VENV}/bin/python install glances codecarbon"
)
CODECARBON: Final = GLANCES


class Peer(NamedTuple):
    """A program that collects until it is ended: its command, and how many collections it has made so far."""

    name: str
    command: Sequence[str]
    collections: Callable[[], int]
    scrape: int | None = None
    """The port at which it has to be asked for each collection."""


class Absent(NamedTuple):
    """A peer that is not installed."""

    name: str
    install: str


def program(name: str) -> str | None:
    """Where a program is: in PATH, among those of the administrator, or in the benchmarks' own environment."""
    return shutil.which(name, path=f"{_PROGRAMS}:{os.path.expanduser(_VENV)}/bin")


def collectd(folder: str, groups: Sequence[str], interval_s: float) -> Peer | Absent:
    """`collectd` with a file of its csv plugin for each type of value."""
    found = program("collectd")
    if found is None:
        return Absent("collectd + csv", COLLECTD)
    names = {"network": "interface"}
    loaded = "".join(f"LoadPlugin {names.get(group, group)}\n" for group in groups)
    text = (
        f'Hostname "localhost"\nFQDNLookup false\nInterval {interval_s}\nBaseDir "{folder}"\nPIDFile "{folder}/pid"\n'
        f"ReadThreads 1\nWriteThreads 1\n{loaded}LoadPlugin csv\n"
        f'<Plugin csv>\nDataDir "{folder}/csv"\nStoreRates false\n</Plugin>\n'
    )
    path = os.path.join(folder, "collectd.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    pattern = os.path.join(folder, "csv", "localhost", "memory", "memory-free-*")  # a new file at midnight
    return Peer("collectd + csv", [found, "-f", "-C", path], lambda: sum(map(lines, glob.glob(pattern))))


def node_exporter(_folder: str, groups: Sequence[str], _interval_s: float) -> Peer | Absent:
    """`prometheus-node-exporter` with the same collectors and no metrics of its own."""
    found = program("prometheus-node-exporter") or program("node_exporter")
    if found is None:
        return Absent("node_exporter, scraped", NODE_EXPORTER)
    names = {"memory": "meminfo", "disk": "diskstats", "network": "netdev", "load": "loadavg"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    collectors = [f"--collector.{names.get(group, group)}" for group in groups]
    command = [
        found,
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.disable-exporter-metrics",
        "--log.level=error",
        "--collector.disable-defaults",
        *collectors,
    ]
    return Peer("node_exporter, scraped", command, lambda: 0, scrape=port)


def glances(folder: str, groups: Sequence[str], interval_s: float) -> Peer | Absent:
    """`glances` without its screen, exporting to CSV; a line for each collection."""
    found = program("glances")
    if found is None:
        return Absent("Glances --export csv", GLANCES)
    names = {"memory": "mem", "disk": "diskio"}
    path = os.path.join(folder, "glances.csv")
    configuration = os.path.join(folder, "glances.conf")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write("[global]\ncheck_update=false\n")
    command = [
        *(found, "-C", configuration, "-q", "--disable-check-update", "--disable-plugin", "all"),
        *("--enable-plugin", ",".join(names.get(group, group) for group in groups)),
        *("-t", str(interval_s), "--export", "csv", "--export-csv-file", path),
    ]
    return Peer("Glances --export csv", command, lambda: lines(path))


def psutil_loop(folder: str, groups: Sequence[str], interval_s: float) -> Peer | Absent:
    """A loop over psutil that writes lines with the csv module."""
    path = os.path.join(folder, "psutil.csv")
    command = [sys.executable, "-m", "benchmarks.loop_psutil", path, str(interval_s), *groups]
    return Peer("psutil + csv module", command, lambda: lines(path))


ALL: Final = (collectd, psutil_loop, glances, node_exporter)


class Scraper:
    """Asks an exporter at a rate, from a thread, until `stop`; the connection is kept."""

    def __init__(self, port: int, interval_s: float) -> None:
        self.count = 0
        self.error: OSError | http.client.HTTPException | None = None
        self._port = port
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._scrape, daemon=True)
        self._thread.start()

    def _scrape(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        deadline = time.monotonic()
        while not self._stop.wait(max(0.0, deadline - time.monotonic())):
            try:
                connection.request("GET", "/metrics")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                self.error = error
                return
            self.count += 1
            deadline += self._interval_s

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
