"""Controls in C: the same work without an interpreter, compiled when it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoCompilerError(Exception):
    """There is no C compiler here."""

    def __init__(self) -> None:
        super().__init__("no C compiler: apt-get install gcc libc6-dev")


def compiled(name: str, folder: str, libraries: Sequence[str] = ()) -> str:
    """The program of `NAME.c` beside this file, made in a folder.

    Raises: NoCompilerError; subprocess.CalledProcessError, it does not compile.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompilerError
    source = os.path.join(os.path.dirname(__file__), f"{name}.c")
    program = os.path.join(folder, name)
    options = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *options, "-o", program, source, *libraries], check=True, capture_output=True)
    return program
