"""The lock: plans that were checked, and whether they still hold.

The light path: `meter check` of an unchanged mount and `meter run` of a valid lock read this and nothing of the
contract language. An entry holds a plan with all that could make it untrue: digest of the request, contract files with
size and time of change, the answers of the host, meter's version.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import Any, Final

from meter.core.host import Probe
from meter.core.version import __version__

FORMAT: Final = "meter-lock/1"


class LockError(Exception):
    """A lock file cannot be used; the text says why."""


def lock_path(mount_file: str) -> str:
    """Where the lock of a mount file lies: beside it."""
    return os.path.splitext(mount_file)[0] + ".lock"


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def find_mount_file(explicit: str | None, environ: dict[str, str]) -> str | None:
    """The mount file: `--file`, $METER_FILE, ./meter.toml, then the user's configuration folder."""
    if explicit or environ.get("METER_FILE"):
        return explicit or environ["METER_FILE"]
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    for path in ("meter.toml", os.path.join(home, "meter", "meter.toml")):
        if os.path.exists(path):
            return path
    return None


def read(path: str) -> dict[str, Any]:
    """The document of a lock file; an empty one where there is none.

    Raises: LockError, it is unreadable, no JSON, or of another format.
    """
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read())
    except FileNotFoundError:
        return {"format": FORMAT, "file": "", "mounts": {}}
    except OSError as error:
        raise LockError(error.strerror or str(error)) from error
    except (ValueError, RecursionError):
        raise LockError("it is no JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise LockError(f"it is not of the format {FORMAT}")
    return document


def write_together(files: dict[str, bytes]) -> None:
    """Write files so that each is old or new, never torn; all are on disk before the first one is renamed.

    Raises: OSError, nothing was changed.
    """
    made: list[tuple[str, str]] = []
    try:
        for path, data in files.items():
            real = os.path.realpath(path)
            temporary = f"{real}.{os.getpid()}.tmp"
            made.append((temporary, real))
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                os.chmod(temporary, os.stat(real).st_mode & 0o7777)
        for temporary, real in made:
            os.replace(temporary, real)
    finally:
        for temporary, _ in made:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


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
    return {
        "request": request,
        "meter": __version__,
        "files": {plugin: stamp(path) for plugin, path in sorted(contracts.items())},
        "folder": probe.folder,
        "sysroot": probe.sysroot,
        "facts": sorted([kind, argument, answer] for (kind, argument), answer in probe.facts.items()),
        "diagnostics": diagnostics,
        "plan": plan,
    }


def stale(entry: dict[str, Any], *, folder: str, sysroot: str | None) -> str:
    """Why an entry has to be checked anew, apart from its request; the empty text where it still holds."""
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


def contracts_of(entry: dict[str, Any]) -> dict[str, str]:
    """For each plugin of an entry the path of its contract."""
    return {plugin: known[0] for plugin, known in entry["files"].items()}


def dump(document: dict[str, Any]) -> bytes:
    """The bytes of a lock file: sorted, one line for each leaf, so that a diff reads well."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def warm(mount_file: str, sysroot: str | None) -> dict[str, Any] | None:
    """The lock's entries by mountpoint where every mount of an unchanged file still holds, else None."""
    try:
        document = read(lock_path(mount_file))
        with open(mount_file, "rb") as file:
            data = file.read()
    except (OSError, LockError):
        return None
    mounts: dict[str, Any] = document["mounts"]
    folder = os.path.dirname(os.path.abspath(mount_file))
    if not document["file"] or document["file"] != digest(data):
        return None
    try:
        held = all(not stale(entry, folder=folder, sysroot=sysroot) for entry in mounts.values())
    except (KeyError, TypeError, ValueError):  # somebody has edited the lock
        return None
    return mounts if held else None
