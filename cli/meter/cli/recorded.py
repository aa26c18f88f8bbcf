"""Plans of mounted backends for commands that only look at them: out of the lock where it holds, else checked anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.cli import common

if TYPE_CHECKING:
    import click


class Recorded(NamedTuple):
    """A plan and, for each plugin, the file of its contract.

    `sound` is false where the request does not pass the check now and the plan is what the lock has of it.
    """

    plan: Mapping[str, Any]
    contracts: Mapping[str, str]
    sound: bool = True


def plans(
    path: str, mountpoint: str | None, plugin_dirs: Sequence[str], sysroot: str | None, words: Sequence[str]
) -> tuple[list[Recorded], list[dict[str, Any]]]:
    """The plans of one mountpoint, or of all, and diagnostics; writes nothing and imports no plugin.

    Args: mountpoint as typed; words, the command line, whose last word it is where there is one.
    """
    from meter.contracts import keynames  # light
    from meter.core import lock  # light

    mountpoint = None if mountpoint is None else keynames.tidy(mountpoint)
    held = lock.warm(path, sysroot, () if mountpoint is None else (mountpoint,))
    if held is not None:
        diagnostics: list[dict[str, Any]] = []
        for entry in held.values():
            diagnostics += [each for each in entry["diagnostics"] if each not in diagnostics]
        return [_of(entry) for entry in held.values()], diagnostics

    from meter.contracts.diagnostics import ContractError, Diagnostic  # the contract language: only after a change
    from meter.contracts.spans import Words
    from meter.core.moment import Once
    from meter.core.mounts import Mounts

    mounts = Mounts(path, plugin_dirs=plugin_dirs, sysroot=sysroot)
    try:
        now = mounts.moment()
    except ContractError as error:
        return [], [diagnostic.to_json() for diagnostic in error.diagnostics]
    requests, found = now.requests, Once(now.found if mountpoint is None else ())
    shown: list[Recorded] = []
    for name in sorted(requests) if mountpoint is None else [mountpoint]:
        ready, problems = mounts.resolve(name, span=Words(words).span(len(words) - 1), moment=now)
        found.add(problems)
        known = now.entry(name)
        if ready is not None:
            shown.append(Recorded(ready.plan, ready.contracts))
        elif known is not None and name in requests and known["request"] == requests[name].digest():
            shown.append(_of(known)._replace(sound=False))
    return shown, [diagnostic.to_json() for diagnostic in sorted(found.found, key=Diagnostic.order)]


def _of(entry: Mapping[str, Any]) -> Recorded:
    from meter.core import lock  # light

    return Recorded(entry["plan"], lock.contracts_of(dict(entry)))


def mountpoints(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What a TAB may complete to: what is mounted."""
    import tomllib  # only while completing

    try:
        with open(common.mount_file(context.params.get("file")), "rb") as file:
            mounts = tomllib.load(file).get("mounts", {})
    except (OSError, ValueError):
        return []
    return sorted(name for name in mounts if name.startswith(incomplete)) if isinstance(mounts, dict) else []
