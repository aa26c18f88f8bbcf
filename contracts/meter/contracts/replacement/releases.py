"""Version steps: which one a release has taken, which one is enough, and what version would be.

Semantic Versioning 2.0.0 says nothing of versions before 1.0.0 but that anything may change. Here a step of the second
number counts there as one of the first, and one of the third as one of the second, as Cargo and most package managers
have it. A version before a release, `1.0.0-rc.1`, promises nothing: any higher one is enough after it.
"""

from __future__ import annotations

from meter.contracts.language import language
from meter.contracts.versions import Version, parse_version


def _steps() -> tuple[str, str, str, str, str]:
    """The words of [step ...], from a version that is lower to one of another first number."""
    back, none, patch, minor, major = language().values("step")
    return back, none, patch, minor, major


def unchanged() -> str:
    """The step that is owed where nothing has changed."""
    return _steps()[1]


def checked() -> str:
    """The class of changes that a new check of a mount decides on."""
    return next(word for word, says in language().words["class"].items() if says["start"] == "checked")


def step(old: str, new: str) -> str:
    """The step from one version to another."""
    one, other = parse_version(old), parse_version(new)
    back, none, patch, minor, major = _steps()
    if other == one:
        return none
    if other < one:
        return back
    changed = [a != b for a, b in zip(one.release, other.release, strict=True)]
    first = changed.index(True) if any(changed) else 2
    if not one.release[0] and first:
        first -= 1
    return (major, minor, patch)[first]


def enough(old: str, new: str, owed: str) -> bool:
    """Whether the step from one version to another is at least the one that is owed."""
    order = language().values("step")
    taken = step(old, new)
    if order.index(taken) <= order.index(unchanged()):
        return taken == owed
    return order.index(taken) >= order.index(owed) or not parse_version(old).final


def next_version(old: str, owed: str) -> str:
    """The least version that is enough after an old one."""
    version = parse_version(old)
    _, none, patch, minor, major = _steps()
    if owed == none:
        return old
    release = version.release
    if not version.final:
        return ".".join(map(str, release))
    at = {major: 0, minor: 1, patch: 2}[owed]
    if not release[0]:
        at = min(2, at + 1)
    return _raised(version, at)


def _raised(version: Version, at: int) -> str:
    numbers = [*version.release[:at], version.release[at] + 1, *(0 for _ in version.release[at + 1 :])]
    return ".".join(map(str, numbers))
