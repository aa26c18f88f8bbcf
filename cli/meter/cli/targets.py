"""What the words of `meter check` mean: mountpoints, mount files, contracts, and folders with any number of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from meter.cli import common


class Targets(NamedTuple):
    """What is looked at: mountpoints of one mount file, other mount files as a whole, contracts.

    `words` is the command line, `mountpoints` have the places of their words in it, `problems` says what could not be
    looked at.
    """

    words: tuple[str, ...]
    file: str
    mountpoints: tuple[tuple[str, int], ...]
    mounts: tuple[str, ...]
    contracts: tuple[str, ...]
    problems: tuple[Mapping[str, Any], ...]

    @property
    def files(self) -> frozenset[str]:
        """Every mount file."""
        return frozenset([*([self.file] if self.mountpoints else []), *self.mounts])


def sorted_out(targets: Sequence[str], file: str | None) -> Targets:
    """The targets of some words of the command line; without any, all of the mount file.

    A word is a mountpoint where it neither names what is there nor ends as a file does.

    Args: file, the mount file that the command line names.
    """
    mountpoints: list[tuple[str, int]] = []
    mounts: list[str] = []
    contracts: list[str] = []
    problems: list[Mapping[str, Any]] = []
    for place, target in enumerate(targets, start=2):
        if target == "/" or not (os.path.exists(target) or target.endswith((".toml", ".py"))):
            mountpoints.append((target, place))
        elif os.path.isdir(target):
            from meter.core.trees import find  # the contract language, which a mountpoint or file may do without

            tree = find(target)
            mounts += tree.mounts
            contracts += tree.contracts
            problems += [each.to_json() for each in tree.diagnostics]
        elif os.path.basename(target) == "contract.toml" or target.endswith(".py"):
            contracts.append(target)
        else:
            mounts.append(target)
    found = common.mount_file(file)
    if not mountpoints and (file is not None or not targets):
        mounts.insert(0, found)
    words = ("meter", "check", *targets)
    return Targets(words, found, tuple(mountpoints), _once(mounts), _once(contracts), tuple(problems))


def _once(paths: Sequence[str]) -> tuple[str, ...]:
    """Paths in their order, each file once."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(os.path.realpath(path), path)
    return tuple(found.values())
