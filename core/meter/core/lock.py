"""The lock: plans that were checked, and whether they still hold.

The light path: `meter check` of an unchanged mount and `meter run` of a valid lock read this and nothing of the
contract language. An entry holds a plan with all that could make it untrue: digest of the request, contract files with
size and time of change, the answers of the host, meter's version.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from meter.contracts import claims, digests
from meter.core.host import Probe
from meter.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

FORMAT: Final = "meter-lock/10"
LIMIT: Final = 1 << 28
"""A lock of more bytes was not written by meter."""
digest: Final = digests.digest
"""SHA-256 in hexadecimal."""


class LockError(Exception):
    """A lock file cannot be used; the text says why."""


def lock_path(mount_file: str) -> str:
    """Where the lock of a mount file lies: beside it."""
    stem, suffix = os.path.splitext(mount_file)
    return f"{mount_file}.lock" if suffix == ".lock" else f"{stem}.lock"


def read(path: str) -> dict[str, Any]:
    """The document of a lock file; an empty one where there is none. Entries that somebody has edited are left out.

    Raises: LockError, it is unreadable, too large, no JSON, or of another format.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise LockError(f"it has more than {LIMIT} bytes")
        document = json.loads(data)
    except FileNotFoundError:
        return empty()
    except OSError as error:
        raise LockError(error.strerror or str(error)) from error
    except (ValueError, RecursionError):
        raise LockError("it is no JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise LockError(f"it is not of the format {FORMAT}")
    file_digest, mounts, contracts = (document.get(name) for name in ("file", "mounts", "contracts"))
    if not isinstance(file_digest, str) or not isinstance(mounts, dict) or not isinstance(contracts, dict):
        raise LockError("its `file`, its `mounts` or its `contracts` were edited")
    sound = {name: entry for name, entry in mounts.items() if is_sealed(entry)}
    said = file_digest if sound.keys() == mounts.keys() else ""
    return {"format": FORMAT, "file": said, "mounts": sound, "contracts": contracts}


def empty() -> dict[str, Any]:
    """The document of a lock that holds nothing."""
    return {"format": FORMAT, "file": "", "mounts": {}, "contracts": {}}


def _seal(entry: dict[str, Any]) -> str:
    """A digest of all that an entry says, so that an edited one is made anew and never run."""
    said = {name: value for name, value in entry.items() if name != "seal"}
    return digest(json.dumps(said, sort_keys=True, separators=(",", ":")).encode())


def is_sealed(entry: Any) -> bool:
    """Whether an entry is as it was made."""
    return isinstance(entry, dict) and entry.get("seal") == _seal(entry)


def stamp(path: str) -> list[Any]:
    """Path, size and time of change of a file; -1 where it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return [path, -1, -1]
    return [path, status.st_size, status.st_mtime_ns]


def make_entry(
    plan: dict[str, Any], request: str, contracts: dict[str, str], probe: Probe, diagnostics: list[dict[str, Any]]
) -> dict[str, Any]:
    """An entry for a plan that was just checked."""
    entry = {
        "request": request,
        "meter": __version__,
        "files": {plugin: stamp(path) for plugin, path in sorted(contracts.items())},
        "folder": probe.folder,
        "sysroot": probe.sysroot,
        "facts": sorted([kind, argument, answer] for (kind, argument), answer in probe.facts.items()),
        "diagnostics": diagnostics,
        "plan": plan,
    }
    return {**entry, "seal": _seal(entry)}


def stale(entry: dict[str, Any], *, folder: str, sysroot: str | None) -> str:
    """Why an entry has to be checked anew, apart from its request; the empty text where it still holds."""
    if not is_sealed(entry):
        return "it was edited"
    if entry["meter"] != __version__:
        return f"it was made by meter {entry['meter']}"
    if entry["folder"] != folder or entry["sysroot"] != sysroot:
        return "it was made in another place"
    for plugin, known in entry["files"].items():
        if stamp(known[0]) != known:
            return f"the contract of `{plugin}` was touched"
    probe = Probe(folder, sysroot)
    for kind, argument, answer in entry["facts"]:
        if probe.answer(kind, argument) != answer:
            return "the host has changed"
    return ""


def plans(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The plans of a lock, by mountpoint."""
    return {mountpoint: entry["plan"] for mountpoint, entry in document["mounts"].items()}


def used(mounts: dict[str, Any], contracts: dict[str, Any]) -> dict[str, Any]:
    """Of the contracts that a lock keeps those that plans of it were made with, by digest.

    Whoever takes one looks whether it has the digest that it is kept under: the seal of an entry does not cover it.
    """
    wanted = {plugin.get("contract") for entry in mounts.values() for plugin in entry["plan"]["plugins"]}
    return {name: contracts[name] for name in sorted(contracts) if name in wanted}


def contracts_of(entry: dict[str, Any]) -> dict[str, str]:
    """For each plugin of an entry the path of its contract."""
    return {plugin: known[0] for plugin, known in entry["files"].items()}


def dump(document: dict[str, Any]) -> bytes:
    """The bytes of a lock file: sorted, one line for each leaf, so that a diff reads well."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def place(document: dict[str, Any], path: Sequence[str | int]) -> tuple[int, int]:
    """Line and column in `dump` of what stands at a path of a document, or of the nearest above that is there."""
    line, column = 1, 1
    value: Any = document
    for depth, part in enumerate(path, start=2):
        pairs = sorted(value.items()) if isinstance(value, dict) else list(enumerate(value))
        before = [below for name, below in pairs if isinstance(part, type(name)) and name < part]
        if len(before) == len(pairs) or pairs[len(before)][0] != part:
            break
        line += 1 + sum(map(_lines, before))
        column = depth
        value = pairs[len(before)][1]
        if not isinstance(value, dict | list):
            break
    return line, column


def _lines(value: Any) -> int:
    """The lines of a value in `dump`."""
    below = list(value.values()) if isinstance(value, dict) else value
    return 2 + sum(map(_lines, below)) if isinstance(value, dict | list) and below else 1


def warm(mount_file: str, sysroot: str | None, wanted: Collection[str] = ()) -> dict[str, Any] | None:
    """The lock's entries of some mountpoints, of all where none is wanted, by mountpoint.

    None where the file has changed, has no mount, or one of these entries is not there or does not hold any more.
    """
    try:
        document = read(lock_path(mount_file))
        with open(mount_file, "rb") as file:
            data = file.read()
    except (OSError, LockError):
        return None
    mounts: dict[str, Any] = document["mounts"]
    names = wanted or sorted(mounts)
    if not names or not document["file"] or document["file"] != digest(data) or any(n not in mounts for n in names):
        return None
    folder = os.path.dirname(os.path.abspath(mount_file))
    entries = {name: mounts[name] for name in names}
    if any(each.first[0] in entries or each.second[0] in entries for each in claims.meetings(plans(document))):
        return None
    return None if any(stale(entry, folder=folder, sysroot=sysroot) for entry in entries.values()) else entries
