"""Runs `meter` as a process that begins with its modules loaded: forked from one that has loaded them, once a worker.

What a command says, writes and ends with does not depend on how its modules came to be there, and loading them takes
most of the time of a short one. It is a process nevertheless: folder, environment, standard streams, signals and exit
code are its own. What a test claims of the start, of memory or of what is loaded needs a process that was started.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

METER = (sys.executable, "-m", "meter")
Words = Sequence[str | bytes | PathLike[str]]
Done = subprocess.CompletedProcess[bytes]
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ")
STARTED = 8
"""So many are started first: one that forks costs as much as four, and some tests have an environment of their own."""
ANSWER = 16
"""Bytes of an answer: a number as text, with blanks before it."""


def run(
    words: Words,
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
    stdin: bytes = b"",
    merged: bool = False,
) -> Done:
    """What `meter WORDS…` leaves, as `subprocess.run` would say it; with both streams in one, where they are merged.

    The first ones are started, for each environment that Python or C read at their start.
    """
    read = {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}
    key = tuple(sorted(read.items()))
    _asked[key] += 1
    if _asked[key] <= STARTED or not _one_at_a_time.acquire(blocking=False):
        return started(words, folder=folder, environment=environment, timeout=timeout, stdin=stdin, merged=merged)
    try:
        if key not in _spares:
            _spares[key] = Spare(read)
        return _spares[key].run(words, folder, environment, timeout, stdin, merged=merged)
    finally:
        _one_at_a_time.release()


def started(
    words: Words,
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
    stdin: bytes = b"",
    merged: bool = False,
    python: Sequence[str] = (),
) -> Done:
    """The same of a process that was started, with these words for Python."""
    return subprocess.run(
        [METER[0], *python, *METER[1:], *words],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        input=stdin,
        cwd=folder,
        env=environment,
        timeout=timeout,
    )


_one_at_a_time = threading.Lock()
_asked: Counter[tuple[tuple[str, str], ...]] = Counter()
_spares: dict[tuple[tuple[str, str], ...], Spare] = {}


class Spare:
    """The process that has loaded the modules, and the socket to it: it ends when this is closed."""

    def __init__(self, read: Mapping[str, str]) -> None:
        self._socket, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**{name: os.environ[name] for name in os.environ if not name.startswith(READ_AT_START)}, **read},
            )
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait()

    def run(
        self, words: Words, folder: Path, environment: Mapping[str, str], timeout: float, stdin: bytes, *, merged: bool
    ) -> Done:
        """As the function of this name."""
        asked = json.dumps([[os.fsdecode(word) for word in words], os.fspath(folder), dict(environment)]).encode()
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        ours_err, theirs_err = os.pipe() if not merged else (os.open(os.devnull, os.O_RDONLY), os.dup(theirs_out))
        with ThreadPoolExecutor(3) as pool:
            try:
                socket.send_fds(self._socket, [b"%d\n" % len(asked)], [theirs_in, theirs_out, theirs_err])
                self._socket.sendall(asked)
            finally:
                for number in (theirs_in, theirs_out, theirs_err):
                    os.close(number)
            pool.submit(_write, ours_in, stdin)
            out, err = pool.submit(_read, ours_out), pool.submit(_read, ours_err)
            pid = self._answer()
            ended, _, _ = select.select([self._socket], [], [], timeout)
            if not ended:
                os.kill(pid, signal.SIGKILL)
            code = self._answer()
        if not ended:
            raise subprocess.TimeoutExpired(["meter", *words], timeout, out.result(), err.result())
        return subprocess.CompletedProcess(["meter", *words], code, out.result(), err.result())

    def _answer(self) -> int:
        return int(self._socket.recv(ANSWER, socket.MSG_WAITALL))


def _read(number: int) -> bytes:
    with open(number, "rb") as file:
        return file.read()


def _write(number: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(number, "wb") as file:
        file.write(data)


# ------------------------------------------------------------------------------------------- in the process that forks


def _load() -> None:
    """Import what a check needs, and read the language. Each page of memory more makes every fork slower."""
    import importlib
    import pkgutil

    import meter.cli
    import meter.contracts

    for package in (meter.contracts, meter.cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    for name in ("discovery", "drift", "host", "loading", "lock", "mounts", "own_check", "record"):
        importlib.import_module(f"meter.core.{name}")
    from meter.contracts.language import language

    language()


def _serve(end: socket.socket) -> None:
    """Fork for each request and answer with its number and its exit code. Returns in what was forked."""
    while True:
        head, streams, _, _ = socket.recv_fds(end, 32, 3)
        if not head:
            os._exit(0)
        size, _, asked = head.partition(b"\n")
        while len(asked) < int(size):
            asked += end.recv(1 << 20)
        pid = os.fork()
        if pid == 0:
            end.close()
            words, folder, environment = json.loads(asked)
            _become(words, folder, environment, streams)
            return
        for number in streams:
            os.close(number)
        end.sendall(b"%*d" % (ANSWER, pid))
        end.sendall(b"%*d" % (ANSWER, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _become(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """What `python -m meter` finds when it begins."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = words
    sys.path[0] = os.getcwd()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)  # noqa: SIM115  (to the end)
    sys.stdout = open(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors, closefd=False)  # noqa: SIM115
    assert isinstance(sys.stderr, io.TextIOWrapper)
    sys.stderr.reconfigure(line_buffering=True)


if __name__ == "__main__":
    import gc

    _load()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        _serve(listening)
    runpy.run_module("meter", run_name="__main__", alter_sys=True)
