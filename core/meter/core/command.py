"""The measured command: find it, start it, pass signals on to it, wait for it, read what it used.

It stands apart from the engine because it must be light: it runs before the command is spawned, and what this process
has in memory by then is the least that the kernel reports as the command's peak (see `Usage`). So no numpy, no attrs,
no subprocess. It prints nothing, never exits, and knows no plugin.

    with signals():
        running = start(argv)
        ...                      # threads started here leave the signals to this one
        running.wait()
        usage = running.finish()
"""

# pathlib would be 3 ms of imports before every measured command.

from __future__ import annotations

import errno
import os
import signal
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from meter.core.spent import BLOCK_BYTES, memory

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

HANDLED: Final = frozenset(
    {
        signal.SIGCHLD,
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
"""The signals that `signals` blocks and `Running.wait` takes."""

# `si_code` of signals that a process sent (asm-generic/siginfo.h); the signal module of Python does not name them.
_SI_USER: Final = 0  # kill
_SI_QUEUE: Final = -1  # sigqueue
_SI_TKILL: Final = -6  # tgkill, pthread_kill
_SENT: Final = frozenset({_SI_USER, _SI_QUEUE, _SI_TKILL})

# A thread that was started before `signals` has SIGCHLD open and may take it from the one that waits.
_SAFETY_S: Final = 1.0

# What Python ignores from its start on. An ignored signal stays ignored over exec, and a command that was started by
# `meter` would see EPIPE where the shell lets it end by SIGPIPE. SIGCHLD: `signals` may have changed it.
_TO_DEFAULT: Final = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)

# A spawn that fails with one of these says something about this process, not about the command.
_OWN_FAULT: Final = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})

_PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h


class CommandNotFound(Exception):  # noqa: N818  (an outcome of `find` with its own exit code, as `Gone`)
    """No program has this name. `near` are up to three names that were perhaps meant, the nearest first."""

    exit_code: Final = 127

    def __init__(self, name: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(name, near)
        self.name = name
        self.near = near

    def __str__(self) -> str:
        why = "there is no such file" if "/" in self.name else "no folder of PATH has it"
        return f"`{self.name}` is not a command that can be found: {why}"


class CommandNotExecutable(Exception):  # noqa: N818  (as CommandNotFound)
    """The file is there and cannot be run. `why` says the reason, `hint` what to do, "" where nothing is known."""

    exit_code: Final = 126

    def __init__(self, path: str, why: str, hint: str = "") -> None:
        super().__init__(path, why, hint)
        self.path = path
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"`{self.path}` cannot be run: {self.why}"


class Usage(NamedTuple):
    """What the kernel counted for the command and for those of its descendants that were waited for.

    A descendant that nobody below the command waited for is missing from all of it: see `leftovers`. Times are in
    seconds, `started_ns` and `ended_ns` are monotonic, the start is before the spawn and the end is the moment at
    which `Running.wait` saw it.

    `max_rss_bytes` is the peak of the largest process, not of their sum. It never reads less than
    `max_rss_floor_bytes`: exec enters the peak of the memory that it replaces, which is that of `meter`, into the
    count of the new program (fs/exec.c, `exec_mmap`). Use `peak_rss_bytes`, which is missing in this case.

    Source: getrusage(2); `read_bytes` came from storage and not from the page cache, `written_bytes` is
    what was made dirty in the page cache, which the kernel writes to storage later, or never if it is deleted before.
    """

    exit_code: int
    """As a shell gives it: 0 to 255, 128 + N where signal N ended the command."""
    signal: int | None
    """The signal that ended the command, None where it ended by itself."""
    user_s: float
    system_s: float
    max_rss_bytes: int
    max_rss_floor_bytes: int
    read_bytes: int
    written_bytes: int
    started_ns: int
    ended_ns: int

    @property
    def peak_rss_bytes(self) -> int | None:
        """`max_rss_bytes` where it is the command's, None where the command stayed below the floor."""
        return self.max_rss_bytes if self.max_rss_bytes > self.max_rss_floor_bytes else None


class Running:
    """A command that was started and not yet waited for; `start` makes it.

    `received` has the signals that arrived during the run, SIGCHLD apart, in their order, wherever they came from:
    whoever repeats a command stops at the first.
    """

    __slots__ = ("_floor_bytes", "_usage", "ended_ns", "pid", "received", "started_ns")

    def __init__(self, pid: int, started_ns: int, floor_bytes: int) -> None:
        self.pid = pid
        self.started_ns = started_ns
        self.ended_ns: int | None = None
        self.received: list[signal.Signals] = []
        self._floor_bytes = floor_bytes
        self._usage: Usage | None = None

    def wait(self) -> None:
        """Return when the command has ended, and pass signals on to it until then.

        The command stays a zombie, so its pid names it and its /proc can be read until `finish`. Call it in the thread
        that entered `signals`. A stopped command (Ctrl-Z) is waited for.
        Raises: ChildProcessError, something else in this process has reaped the command.
        """
        if self.ended_ns is not None:
            return
        # First, because SIGCHLD may have come and gone before this was called.
        while not self._has_ended():
            if (info := _arrived(_SAFETY_S)) is not None:
                self._take(info)
        self.ended_ns = time.monotonic_ns()
        # Ctrl-C that ended the command is pending here too, and would end meter before its table. It is always here by
        # now: the kernel signals the whole group before one of it can become a zombie (`tasklist_lock`).
        while (info := _arrived(0)) is not None:
            if info.si_signo != signal.SIGCHLD:
                self.received.append(signal.Signals(info.si_signo))

    def finish(self) -> Usage:
        """Reap the command and say what it used; waits for it where `wait` was not called. Can be repeated."""
        if self._usage is not None:
            return self._usage
        self.wait()
        assert self.ended_ns is not None
        _, status, used = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._usage = Usage(
            exit_code=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else None,
            user_s=used.ru_utime,
            system_s=used.ru_stime,
            max_rss_bytes=used.ru_maxrss * 1024,
            max_rss_floor_bytes=self._floor_bytes,
            read_bytes=used.ru_inblock * BLOCK_BYTES,
            written_bytes=used.ru_oublock * BLOCK_BYTES,
            started_ns=self.started_ns,
            ended_ns=self.ended_ns,
        )
        return self._usage

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _take(self, info: signal.struct_siginfo) -> None:
        number = signal.Signals(info.si_signo)
        if number == signal.SIGCHLD:
            return
        self.received.append(number)
        if not self._has_had(info):
            # The command may run as another user by now (sudo); there it can be ended from the terminal only.
            with suppress(PermissionError):
                os.kill(self.pid, number)

    def _has_had(self, info: signal.struct_siginfo) -> bool:
        if info.si_code in _SENT:
            # What the command itself sends is for others: `kill 0` has reached it already. sudo does the same.
            return info.si_pid == self.pid
        # The terminal signals the whole foreground group, but a command may have left that (setsid).
        return os.getpgid(self.pid) == os.getpgrp()


def _arrived(patience_s: float) -> signal.struct_siginfo | None:
    """A signal that has come in this time; None if none has.

    Where this process is stopped (Ctrl-Z) until the time is over, CPython's sigtimedwait hands over what it never
    filled (signalmodule.c, 3.11: the loop ends at EINTR once the deadline has passed), so that any number may be in it.
    """
    info = signal.sigtimedwait(HANDLED, patience_s)
    return info if info is not None and info.si_signo in HANDLED else None


@contextmanager
def signals() -> Iterator[None]:
    """Block the signals that `Running.wait` takes, in this thread and in those that it starts from here on.

    Enter it in the main thread before other threads start: a signal goes to any thread that does not block it. What is
    pending at the end is delivered then. Processes that are started meanwhile inherit the blocked signals, SIGTERM too;
    `start` clears them for the command.
    """
    # Where the parent ignores SIGCHLD, children vanish without a status and without a signal (wait(2), NOTES).
    ignored = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if ignored:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def find(argv0: str, path: str | None = None) -> str:
    """The file that execvp runs for this name.

    A name with a slash is a path. Others are looked for in the folders of `path`, by default `$PATH`, an empty one
    being the current folder; a file there that cannot be executed counts only where none follows that can.
    Raises: CommandNotFound; CommandNotExecutable.
    """
    if "/" in argv0:
        try:
            refused = _refusal(argv0)
        except PermissionError as error:
            raise CommandNotExecutable(argv0, "a folder on the way to it cannot be searched") from error
        except OSError as error:
            raise CommandNotFound(argv0) from error
        if refused is not None:
            raise refused
        return argv0
    folders = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    first_refused = None
    for folder in folders if argv0 else ():
        candidate = os.path.join(folder or os.curdir, argv0)
        try:
            refused = _refusal(candidate)
        except OSError:
            continue
        if refused is None:
            return candidate
        # A folder of this name is nothing that anybody meant; a shell says "not found" as well.
        if first_refused is None and not os.path.isdir(candidate):
            first_refused = refused
    if first_refused is not None:
        raise first_refused
    raise CommandNotFound(argv0, _near(argv0, folders))


def start(argv: Sequence[str]) -> Running:
    """Start a command with this environment, working folder and open standard streams, with no signal blocked.

    Returns when the program was loaded, so a signal sent from then on reaches the program and not its loader.
    Raises: CommandNotFound; CommandNotExecutable, also where a shell would take the file for a script of its own;
        OSError, no process can be made (EAGAIN, ENOMEM).
    """
    path = find(argv[0])
    started_ns = time.monotonic_ns()
    try:
        pid = os.posix_spawn(path, list(argv), os.environ, setsigmask=(), setsigdef=_TO_DEFAULT)
    except OSError as error:
        if error.errno in _OWN_FAULT:
            raise
        raise _spawn_refusal(path, error.errno or 0) from error
    # After the spawn: the peak only grows, so what exec has entered is not above it.
    return Running(pid, started_ns, memory()[1] or 0)


def become_subreaper() -> bool:
    """Let orphans below this process become its children, so that `leftovers` sees them; False where not possible.

    Call it before `start`; what loses its parent earlier goes to init.
    Source: prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    try:
        import ctypes  # 2 ms, and Pythons without libffi lack it; there is no prctl in the standard library

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return False
    # Variadic in C: without the type, 64-bit registers would be half filled.
    arguments = [ctypes.c_ulong(value) for value in (1, 0, 0, 0)]
    return bool(prctl(_PR_SET_CHILD_SUBREAPER, *arguments) == 0)


class Leftovers(NamedTuple):
    """What the command has left to this process.

    `running` are (pid, command name of up to 15 characters) of what still runs, by pid. `orphans` have ended, but
    nobody below the command waited for them, so that `Usage` does not count them: this is their CPU time.
    """

    running: tuple[tuple[int, str], ...]
    orphans: int
    orphans_cpu_s: float


def leftovers(ours: Collection[int] = ()) -> Leftovers:
    """What still runs below this process, and what the orphans that have ended used.

    Call it after `finish` only, because it reaps ended children. `ours` are children that this process started for
    itself; they and what is below them are neither reaped nor reported. Empty where /proc cannot be read; no sysroot
    redirects this, as these are real processes.
    Source: proc_pid_stat(5).
    """
    below: dict[int, list[tuple[int, str, bool]]] = {}
    for pid in _pids():
        if (found := _stat(pid)) is not None:
            name, ended, parent = found
            below.setdefault(parent, []).append((pid, name, ended))
    me = os.getpid()
    running = []
    cpu: list[float] = []
    parents = [me]
    while parents:
        parent = parents.pop()
        for pid, name, ended in below.get(parent, ()):
            if parent == me and pid in ours:
                continue
            if ended:
                used = _reaped(pid) if parent == me else 0.0
                if used is not None:
                    cpu += [used] * (parent == me)
                    continue
            running.append((pid, name))
            parents.append(pid)
    return Leftovers(tuple(sorted(running)), len(cpu), sum(cpu))


def _refusal(path: str) -> CommandNotExecutable | None:
    """Why this file cannot be executed, as far as its mode says; OSError where it is not there."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        return CommandNotExecutable(path, "it is a folder")
    if not stat.S_ISREG(mode):
        return CommandNotExecutable(path, "it is not a regular file")
    if os.access(path, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return None
    if mode & 0o111:
        return CommandNotExecutable(path, "this user may not execute it, or its file system is mounted with `noexec`")
    return CommandNotExecutable(path, "it has no execute permission", f"chmod +x {_quoted(path)}")


def _spawn_refusal(path: str, number: int) -> CommandNotExecutable | CommandNotFound:
    """What a failed spawn says about a file that looked executable."""
    head = b""
    with suppress(OSError), open(path, "rb", buffering=0) as file:
        head = file.read(256)
    if number == errno.ENOEXEC:
        if head.startswith(b"\x7fELF"):
            return CommandNotExecutable(path, "it is damaged, or made for another processor")
        return CommandNotExecutable(
            path,
            "it is neither a program nor a script with an interpreter",
            f"a shell would run it: give it a first line such as `#!/bin/sh`, or use `sh {_quoted(path)}`",
        )
    if number == errno.ENOENT:
        if head.startswith(b"#!"):
            # Only the newline is taken off: the carriage return of a file from Windows is the usual reason.
            line = os.fsdecode(head[2:].split(b"\n")[0]).strip(" \t")
            return CommandNotExecutable(path, f"its first line names an interpreter that is not there, {line!r}")
        if head:
            return CommandNotExecutable(path, "the loader that it was linked for is not there")
        return CommandNotFound(path)
    return CommandNotExecutable(path, os.strerror(number).lower())


def _near(name: str, folders: Sequence[str]) -> tuple[str, ...]:
    import difflib  # only this error needs it

    def runs(candidate: str) -> bool:
        try:
            return _refusal(candidate) is None
        except OSError:
            return False

    where: dict[str, list[str]] = {}
    for folder in folders:
        with suppress(OSError):
            for entry in os.listdir(folder or os.curdir):
                where.setdefault(entry, []).append(folder)
    # The commonest slip first: a file of the current folder, which is not on PATH.
    local = f"./{name}"
    near = [local] if name and runs(local) else []
    near += [
        match
        for match in difflib.get_close_matches(name, sorted(where), n=10)
        if any(runs(f"{folder or os.curdir}/{match}") for folder in where[match])
    ]
    return tuple(near[:3])


def _quoted(path: str) -> str:
    import shlex  # only an error needs it

    return shlex.quote(path)


def _pids() -> list[int]:
    try:
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return []


def _stat(pid: int) -> tuple[str, bool, int] | None:
    """Command name, whether it has ended, parent; None where the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            text = file.read(4096)
    except OSError:
        return None
    # The name may itself have spaces and brackets, so the last bracket ends it.
    head, _, tail = text.rpartition(b")")
    state, parent = tail.split()[:2]
    return head.partition(b"(")[2].decode(errors="replace"), state in {b"Z", b"X"}, int(parent)


def _reaped(pid: int) -> float | None:
    """Reap this ended child: the CPU seconds it used; None where its first thread has ended and others have not."""
    try:
        found, _, used = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return 0.0
    return used.ru_utime + used.ru_stime if found == pid else None
