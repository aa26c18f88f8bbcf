"""The engine: what it adds to the sources that it polls, ten times a second, without an output's work.

`meter run` with an output that throws everything away, beside a bare loop over the same sources; both run at the same
time and are compared over the same span.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING

from benchmarks import hosts
from benchmarks.figure import Figure
from benchmarks.hosts import Watched
from benchmarks.loop_engine import PLUGINS
from benchmarks.processes import EndedEarlyError, Process

if TYPE_CHECKING:
    from collections.abc import Iterator


def figures() -> Iterator[Figure]:
    """CPU of the engine, its chain and its queues, beside that of the sources alone."""
    groups = hosts.available()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shutil.copytree(os.path.join(PLUGINS, "null"), os.path.join(folder, "null"))
        command = hosts.mount(folder, groups, ["null"])
        control = [sys.executable, "-m", "benchmarks.loop_sources", "meter.lock", "/host"]
        with (
            Process("meter", command, cwd=folder) as run,
            Process("sources", control, cwd=folder, env={"PYTHONPATH": hosts.source_path()}) as sources,
        ):
            nominal = hosts.Paced()
            costs = hosts.watch({"run": Watched(run, nominal), "sources": Watched(sources, nominal)})
    whole, alone = costs["run"], costs["sources"]
    for each in (whole, alone):
        if isinstance(each, EndedEarlyError):
            raise each
    assert isinstance(whole, hosts.Cost)
    assert isinstance(alone, hosts.Cost)
    note = f"CPU seconds for 1,000 ticks; meter run, null output {whole.cpu_s:.3f}"
    name = f"engine over {'+'.join(groups)}"
    yield Figure(name, whole.cpu_s - alone.cpu_s, alone.cpu_s, "sources alone", "s", 1, note=note)
    yield Figure("  resident memory", whole.rss_mib, alone.rss_mib, "sources alone", "MiB", None)
