"""Appending texts to files and pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meter.core.appending import Appending
from meter.core.plugin import Gone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGINS = b'{"at":00,'


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe and its reading end, which does not block."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield tmp_path / "pipe", reader
    os.close(reader)


def test_pieces_are_one_text(tmp_path: Path) -> None:
    """More pieces than the kernel takes in one call, empty ones among them, are all there in their order."""
    file = Appending(str(tmp_path / "x"))
    pieces = [b"" if nth % 7 else b"%d\n" % nth for nth in range(3000)]

    file.write(pieces, 1)
    file.write([], 2)
    file.close()

    assert (tmp_path / "x").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_a_system_that_takes_less_than_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Short writes, as POSIX allows them for any file, lose and double nothing."""
    writev, write = os.writev, os.write
    monkeypatch.setattr(os, "writev", lambda file, pieces: writev(file, [b"".join(pieces)[:step]]))
    monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:step]))
    file = Appending(str(tmp_path / "x"), header=b"head\n")

    file.write([b"one\n", b"two\n"], 1)
    file.close()

    assert (tmp_path / "x").read_bytes() == b"head\none\ntwo\n"


@pytest.mark.parametrize("length", range(18))
def test_what_failed_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """However much the system took before it failed; the next try writes all of it, once."""
    file = Appending(str(tmp_path / "x"))
    file.write([b"before\n"], 1)
    write, budget = os.write, [length]

    def limited(descriptor: int, text: bytes) -> int:
        if not budget[0]:
            raise OSError(28, "No space left on device")
        taken = write(descriptor, text[: budget[0]])
        budget[0] -= taken
        return taken

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", lambda descriptor, pieces: limited(descriptor, b"".join(pieces)))
        patched.setattr(os, "write", limited)
        with pytest.raises(OSError, match="No space left"):
            file.write([b"torn in\n", b"the middle\n"], 2)

    assert (tmp_path / "x").read_bytes() == b"before\n"
    file.write([b"torn in\n", b"the middle\n"], 2)
    file.close()
    assert (tmp_path / "x").read_bytes() == b"before\ntorn in\nthe middle\n"


def test_what_could_not_be_taken_back_is_before_the_next_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cutting fails too, as on a file system with errors, the next text does not follow a torn one."""
    file = Appending(str(tmp_path / "x"))
    write = os.write

    def torn(descriptor: int, pieces: list[bytes]) -> int:
        return write(descriptor, b"".join(pieces)[:3])

    def failing(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", torn)
        patched.setattr(os, "write", failing)
        patched.setattr(os, "ftruncate", failing)
        with pytest.raises(OSError, match="Input/output"):
            file.write([b"first\n"], 1)
    assert (tmp_path / "x").read_bytes() == b"fir"

    file.write([b"second\n"], 2)
    file.close()

    assert (tmp_path / "x").read_bytes() == b"second\n"


@pytest.mark.parametrize(
    ("there", "left"),
    [
        (b'{"at":17,"a":1}\n{"at":18,"a":2}\n', b'{"at":17,"a":1}\n{"at":18,"a":2}\n'),
        (b'{"at":17,"a":1}\n{"at":18,"a"', b'{"at":17,"a":1}\n'),
        (b'{"at":17,"a":1', b""),  # torn in its first line
        (b'{"at":1', b""),  # torn before what it is known by is whole
        (b"{", b""),
        (b"", b""),
        (b'{"at":17,' + b"x" * 200_000, b""),
        (b'{"at":17,"a":1}\n' + b"x" * 200_000, b'{"at":17,"a":1}\n'),
    ],
)
def test_a_torn_last_line_is_cut_off(tmp_path: Path, there: bytes, left: bytes) -> None:
    """Of whatever length, and also where it is the only one."""
    (tmp_path / "x").write_bytes(there)

    Appending(str(tmp_path / "x"), begins=BEGINS).close()

    assert (tmp_path / "x").read_bytes() == left


@pytest.mark.parametrize("there", [b"\n", b"{}\n", b'{"at":"17","a":1}\n', b'[{"at":17,"a":1}]', b'{"at":1x,', b" "])
def test_a_file_of_another_form_stays_as_it_is(tmp_path: Path, there: bytes) -> None:
    """Nobody's file is cut or appended to because its path was mistyped."""
    (tmp_path / "x").write_bytes(there)

    with pytest.raises(ValueError, match=r"x` begins with .*, not with a line of meter; move it away or take another"):
        Appending(str(tmp_path / "x"), begins=BEGINS)

    assert (tmp_path / "x").read_bytes() == there


def test_no_descriptor_is_left_behind_by_a_refusal(tmp_path: Path) -> None:
    """A path that is tried again and again, as by a service that restarts, does not use up what a process may open."""
    (tmp_path / "x").write_bytes(b"foreign\n")
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(3):
        with pytest.raises(ValueError, match="foreign"):
            Appending(str(tmp_path / "x"), header=b"head\n")

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_deleted_file_whose_name_is_taken_by_another_form(tmp_path: Path) -> None:
    """The error names it, nothing is written, and once it has gone the text is there."""
    path = tmp_path / "x"
    file = Appending(str(path), header=b"head\n")
    path.unlink()
    path.write_bytes(b"foreign\n")

    with pytest.raises(ValueError, match="foreign"):
        file.write([b"text\n"], 1)
    assert path.read_bytes() == b"foreign\n"
    path.unlink()
    file.write([b"text\n"], 1)
    file.close()

    assert path.read_bytes() == b"head\ntext\n"


def test_a_second_writer_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    """Two of them would tear each other's lines."""
    first = Appending(str(tmp_path / "x"))

    with pytest.raises(BlockingIOError, match="is being written by another output or another meter"):
        Appending(str(tmp_path / "x"))

    first.close()
    Appending(str(tmp_path / "x")).close()


def test_a_pipe_gets_what_it_could_not_take_first(pipe: tuple[Path, int]) -> None:
    """Every byte once, in its order, whether the same text is tried again or was given up."""
    path, reader = pipe
    file = Appending(str(path), header=b"head\n")
    os.set_blocking(file.fileno(), False)
    texts = [b"%d" % nth * 100_000 + b"\n" for nth in range(3)]  # more than a pipe holds
    got = b""

    for seq, text in enumerate(texts):
        while True:
            try:
                file.write([text[:10], text[10:]], seq)
            except BlockingIOError:
                got += os.read(reader, 1 << 20)
                if seq == 1:
                    break  # given up, after its first part was taken
            else:
                break
    file.close()
    while piece := os.read(reader, 1 << 20):
        got += piece

    assert got == b"head\n" + b"".join(texts)


def test_a_pipe_without_reader_is_the_end(tmp_path: Path) -> None:
    """Trying again would be in vain."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = Appending(str(tmp_path / "pipe"))
    os.close(reader)

    with pytest.raises(Gone, match=r"nobody reads `.*pipe` any more"):
        file.write([b"text\n"], 1)
    file.close()


@pytest.mark.parametrize(("path", "redirection"), [("/dev/stdout", ">&-"), ("/dev/stderr", "2>&-")])
def test_a_standard_stream_that_was_closed_from_the_start(tmp_path: Path, path: str, redirection: str) -> None:
    """Its number belongs to the next file that is opened then: nothing may be written there."""
    code = f"""
from meter.core.appending import Appending
other = [open({str(tmp_path / "other")!r}, "w") for _ in range(3)]
try:
    Appending({path!r})
except OSError as error:
    open({str(tmp_path / "said")!r}, "w").write(error.strerror)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code], check=True, env=environment)

    assert (tmp_path / "said").read_text() == f"`{path}` is closed; lead it to a file, a pipe or a terminal"
