"""Changing files: each is old or new, never torn, and one meter at a time changes those of a folder.

What the system refuses is E-FILE. Light: a diagnostic is only made where something is wrong.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.contracts.diagnostics import Diagnostic


def fault(path: str, error: OSError, variant: str = "") -> Diagnostic:
    """E-FILE for a file that the system does not give."""
    from meter.contracts.diagnostics import Diagnostic  # the contract language; only a fault needs it
    from meter.contracts.spans import Span

    facts = {"path": path, "why": (error.strerror or str(error)).lower()}
    return Diagnostic(code="E-FILE", variant=variant, facts=facts, spans=(Span(path, 1, 1),))


@contextlib.contextmanager
def guard(folder: str) -> Iterator[None]:
    """Keep other meters from changing what lies in a folder at the same time.

    Raises: OSError, there is no such folder.
    """
    import fcntl  # a shared object, and only who changes files needs it

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def guarded(folder: str) -> Iterator[None]:
    """As `guard`. Raises: ContractError, there is no such folder."""
    held = guard(folder)
    try:
        held.__enter__()
    except OSError as error:
        from meter.contracts.diagnostics import ContractError  # as in fault

        raise ContractError([fault(folder, error, "no-folder")]) from error
    with contextlib.ExitStack() as stack:
        stack.push(held)
        yield


def write_together(files: dict[str, bytes]) -> None:
    """Write files so that each is old or new, never torn; all are on disk before the first one is renamed.

    Raises: OSError, nothing was changed; what was renamed before the fault is renamed back.
    """
    made: list[tuple[str, str]] = []
    kept: list[tuple[str, str]] = []
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
        for _, real in made:
            if os.path.isdir(real):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), real)
        _rename(made, kept)
    finally:
        for temporary, _ in (*made, *kept):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _rename(made: list[tuple[str, str]], kept: list[tuple[str, str]]) -> None:
    """Put new files in the place of old ones, or none of them; `kept` gets copies of old ones."""
    done: list[str] = []
    try:
        for temporary, real in made:
            if real != made[-1][1] and os.path.exists(real):
                old = f"{temporary}.old"
                kept.append((old, real))
                with open(real, "rb") as before, open(old, "wb") as after:
                    after.write(before.read())
                os.chmod(old, os.stat(real).st_mode & 0o7777)
            os.replace(temporary, real)
            done.append(real)
    except OSError:
        copies = {real: old for old, real in kept}
        for real in done:
            if real in copies:
                os.replace(copies[real], real)
            else:
                os.unlink(real)
        raise
