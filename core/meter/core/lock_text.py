"""The text of a lock, made of plans with all that could make them untrue.

The cold path, beside `lock`, which says whether what was recorded still holds.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked
from meter.contracts.model import Contract, Source
from meter.contracts.mount_tables import from_document
from meter.contracts.replacement.records import record
from meter.contracts.request import Request
from meter.core import lock
from meter.core.host import Probe


class Made(NamedTuple):
    """A plan that was made anew, with all that its entry in the lock says."""

    request: Request
    checked: Checked
    catalogue: Catalogue
    probe: Probe


def recorded(document: dict[str, Any], made: Iterable[Made], data: bytes) -> bytes:
    """The text of a lock with plans that were made anew.

    Args: `document`, the lock as it was, which is changed; `data`, the mount file as it is or will be.
    """
    for request, checked, catalogue, probe in made:
        assert checked.plan is not None
        shown = [d.to_json() for d in checked.diagnostics]
        paths = paths_of(checked, catalogue)
        entry = lock.make_entry(checked.plan.document, request.digest(), paths, probe, shown)
        document["mounts"][request.mountpoint] = entry
        document["contracts"] |= {contract.digest: record(contract) for contract in _used(paths, catalogue)}
    return text(document, data)


def text(document: dict[str, Any], data: bytes) -> bytes:
    """The text of a lock, without what the mount file has no more.

    It names the bytes of the file only when each of the file's mounts is in it as it is written there.
    """
    parsed = tomllib.loads(data.decode())
    requests, found = from_document(parsed, Source("", data.decode()))
    mounts = {name: e for name, e in document["mounts"].items() if name in parsed.get("mounts", {})}
    current = not found and all(
        name in mounts and mounts[name]["request"] == request.digest() for name, request in requests.items()
    )
    said = lock.digest(data) if current else ""
    kept = lock.used(mounts, document["contracts"])
    return lock.dump({"format": lock.FORMAT, "file": said, "mounts": mounts, "contracts": kept})


def _used(plugins: Iterable[str], catalogue: Catalogue) -> Iterator[Contract]:
    """The contracts of some plugins of a plan."""
    for plugin in plugins:
        contract = catalogue.entries[plugin][0].contract
        assert contract is not None
        yield contract


def paths_of(checked: Checked, catalogue: Catalogue) -> dict[str, str]:
    """For each plugin of a plan, and each that was considered for it, the path of its contract."""
    assert checked.plan is not None
    plan = checked.plan.document
    names = {plugin["plugin"] for plugin in plan["plugins"]}.union(plan["considered"])
    return {name: os.path.abspath(catalogue.entries[name][0].path) for name in sorted(names)}
