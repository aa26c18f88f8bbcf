"""Which processes are measured: those of some ids and trees, or all, of some names, commands and users."""

from __future__ import annotations

import os
import pwd
import re
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Final

from meter.core.plugin import Gone

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meter.plugins.process.files import Files, Identity, Stat

_LONGEST: Final = 15  # TASK_COMM_LEN of include/linux/sched.h, without the end
_PATTERN: Final = re.compile(r"[*?\[]")


class Selection:
    """The processes of `pid` and those below the ones of `tree`, or all where both are empty.

    Of these `name`, `command` and `user` each let those through that fit one of its values; an empty one lets all. That
    is asked at each poll: a process may become another program, another user's, and change its command line.
    """

    def __init__(self, files: Files, config: Mapping[str, Any]) -> None:
        """Find the processes and users.

        Raises: ValueError, as `verify`, and where a user is none; ProcessLookupError, there is none of the processes;
            OSError, one of them is hidden.
        """
        self._files = files
        self._names, self._commands = verify(config)
        self._users = frozenset(map(_user, config["user"]))
        self._narrows = bool(self._names or self._commands or self._users)
        pids, tree = config["pid"], config["tree"]
        self._everything = not pids and not tree
        self._scans = self._everything or bool(tree)
        self._pids = self._identities(pids)
        self._tree = self._identities(pid for pid in tree if pid != 0)
        self._own = self._identities([os.getpid()] if 0 in tree else ())
        self._chosen: set[Identity] = set()
        self.absent = sorted({pid for pid in (*pids, *tree) if pid} - {*self._pids, *self._tree})
        """The ids that no process has."""
        if not (self._everything or self._pids or self._tree or self._own):
            asked = ", ".join(str(pid) for pid in sorted({*pids, *tree}))
            raise ProcessLookupError(f"there is no process {asked}; name one that runs")

    def processes(self) -> list[Stat]:
        """Those that are measured now, by id. Raises: Gone, there will never be one again."""
        found = self._all() if self._scans else {}
        if not self._everything:
            found = self._members(found) if self._scans else {}
            for pid, identity in list(self._pids.items()):
                given = found.get(pid) or self._files.stat(pid)
                if given is None or given.identity != identity:
                    del self._pids[pid]
                else:
                    found[pid] = given
            if not found and not self._own:
                raise Gone("every process to measure has ended")
        fitting = [found[pid] for pid in sorted(found)]
        if self._narrows:
            fitting = [process for process in fitting if self._fits(process)]
            self._chosen = {process.identity for process in fitting}
        return fitting

    def others(self) -> list[int]:
        """The ids of `pid` whose processes are there and were not let through the last time."""
        left = self._pids.items() if self._narrows else ()
        return sorted(pid for pid, identity in left if identity not in self._chosen)

    def _fits(self, process: Stat) -> bool:
        """Whether a process is let through; one that has ended has no command line any more and stays what it was."""
        if process.ended and process.identity in self._chosen:
            return True
        if self._names and not self._names.fullmatch(process.name.decode(errors="replace")):
            return False
        if self._users and self._files.user(process.pid) not in self._users:
            return False
        if self._commands:
            command = self._files.command(process.pid)
            return any(pattern.search(command) for pattern in self._commands)
        return True

    def _all(self) -> dict[int, Stat]:
        """All processes that this process sees."""
        found: dict[int, Stat] = {}
        for pid in self._files.pids():
            try:
                process = self._files.stat(pid)
            except PermissionError:  # hidden by the mount option hidepid
                continue
            if process is not None:
                found[pid] = process
        return found

    def _members(self, everything: Mapping[int, Stat]) -> dict[int, Stat]:
        """The processes of all trees; those of this program's own tree without the program."""
        children: dict[int, list[int]] = {}
        for process in everything.values():
            children.setdefault(process.parent, []).append(process.pid)
        present = {process.identity for process in everything.values()}
        members = {pid for pid, identity in self._tree.items() if identity in present}
        waiting = [*members, *self._own]
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child not in members:
                    members.add(child)
                    waiting.append(child)
        self._tree = {pid: everything[pid].identity for pid in members}
        return {pid: everything[pid] for pid in members}

    def _identities(self, pids: Iterable[int]) -> dict[int, Identity]:
        """The present processes of these ids; one that there is not is left out."""
        found = {pid: self._files.stat(pid) for pid in pids}
        return {pid: process.identity for pid, process in found.items() if process is not None}


def verify(config: Mapping[str, Any]) -> tuple[re.Pattern[str] | None, list[re.Pattern[str]]]:
    """The patterns of names as one, and those of commands.

    Raises: ValueError, a command is no regular expression, or a name is longer than any that the kernel keeps.
    """
    for name in config["name"]:
        if not _PATTERN.search(name) and len(name.encode()) > _LONGEST:
            kept = name.encode()[:_LONGEST].decode(errors="ignore")
            raise ValueError(f"`name` has {name!r}: the kernel keeps 15 bytes of a name, write {kept + '*'!r}")
    commands = []
    for command in config["command"]:
        try:
            commands.append(re.compile(command))
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"`command` has {command!r}, which is no regular expression: {error}") from error
    names = "|".join(map(translate, config["name"]))
    return re.compile(names) if names else None, commands


def _user(word: str) -> int:
    """The number of a user. Raises: ValueError, there is none of this name."""
    if word.isdecimal():
        return int(word)
    try:
        return pwd.getpwnam(word).pw_uid
    except (KeyError, ValueError):
        raise ValueError(f"`user` has {word!r}, and this host knows no such user: write a name or a number") from None
