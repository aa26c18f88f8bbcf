"""Host facts: what the real host answers."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meter.contracts.capabilities import CAPABILITIES
from meter.core import perf_event
from meter.core.host import Probe
from meter.core.perf_event import Counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meter.core.plugin import Context

NOBODY = 65_534


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, should the tests have them."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that anybody can enter and nobody can write, with a file that nobody can read."""
    path = Path(tempfile.mkdtemp())
    (path / "secret").touch(mode=0o000)
    (path / "open").touch(mode=0o444)
    path.chmod(0o555)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("/proc/stat", ""),
        ("/proc/missing", "missing {root}/proc/missing"),
        ("/proc/*/stat", ""),
        ("/proc/*/missing", "missing {root}/proc/*/missing"),
        ("/proc/[12]/stat", ""),
        ("/proc/[3]/stat", "missing {root}/proc/[3]/stat"),
        ("/proc/?/gone", "missing {root}/proc/?/gone"),  # what it leads to is not there
        ("/sys/class", "missing {root}/sys/class"),
    ],
)
@pytest.mark.parametrize("name", ["root", "a[1]*"])
def test_a_pattern_is_looked_for_below_the_sysroot(tmp_path: Path, name: str, pattern: str, why: str) -> None:
    """`/proc` and `/sys` are those of `--sysroot`, whatever that is called."""
    root = tmp_path / name
    for pid in ("1", "2"):
        (root / "proc" / pid).mkdir(parents=True)
        (root / "proc" / pid / "stat").touch()
    (root / "proc" / "stat").touch()
    (root / "proc" / "1" / "gone").symlink_to("nowhere")

    assert Probe(".", str(root)).answer("readable", pattern) == why.format(root=root)


def test_a_library_is_found_where_the_linker_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folders of LD_LIBRARY_PATH and in what ldconfig has found; it need not be one that can be loaded."""
    (tmp_path / "libown.so.1").touch()

    before = Probe().answer("library", "libown.so.1")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")

    assert before == "no-library libown.so.1"
    assert Probe().answer("library", "libown.so.1") == ""
    assert Probe().answer("library", "libc.so.6") == ""


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("kernel.x<=2", ""),
        ("kernel.x>=-1,!=0", ""),
        ("kernel.x<=1", "other-value kernel.x<=1 2 {root}"),
        ("kernel.below<0", ""),
        ("kernel.below>=0", "other-value kernel.below>=0 -1 {root}"),
        ("kernel.three>=0", "no-number {root}/proc/sys/kernel/three"),
        ("kernel.none>=0", "missing {root}/proc/sys/kernel/none"),
        ("kernel.x.y>=0", "missing {root}/proc/sys/kernel/x/y"),
        ("kernel.folder>=0", "no-number {root}/proc/sys/kernel/folder"),
    ],
)
def test_a_setting_is_a_number_in_a_range(tmp_path: Path, question: str, why: str) -> None:
    """Below the sysroot; what it is stands in the answer, so that a lock sees where it has changed."""
    kernel = tmp_path / "proc" / "sys" / "kernel"
    (kernel / "folder").mkdir(parents=True)
    for name, text in (("x", "2\n"), ("below", "-1\n"), ("three", "4096\t16384\t4194304\n")):
        (kernel / name).write_text(text)

    assert Probe(".", str(tmp_path)).answer("sysctl", question) == why.format(root=tmp_path)


def test_a_setting_of_this_kernel_is_what_sysctl_says() -> None:
    """Every Linux has the highest number of a process, at least 301."""
    assert Probe().answer("sysctl", "kernel.pid_max>300") == ""
    assert Probe().answer("sysctl", "kernel.pid_max<300").startswith("other-value kernel.pid_max<300 ")


@pytest.mark.parametrize(
    ("code", "kind", "answer"),
    [
        (None, "hardware", ""),
        (errno.ENOENT, "hardware", "no-counters hardware"),  # a virtual machine
        (errno.ENOSYS, "hardware", "no-counters hardware"),
        (errno.ENOSYS, "software", "no-events software"),
        (errno.EACCES, "hardware", ""),  # it could not be seen; what is lacking is asked for by itself
        (errno.EPERM, "software", ""),
        (errno.EMFILE, "software", ""),
    ],
)
def test_events_are_tried(monkeypatch: pytest.MonkeyPatch, code: int | None, kind: str, answer: str) -> None:
    """The kernel alone knows whether the processor has counters; what is opened is closed again."""
    asked = []

    def opens(_: Context, counted: Counted, *, pid: int) -> int:
        asked.append((counted, pid))
        if code is not None:
            raise OSError(code, os.strerror(code))
        return os.open("/dev/null", os.O_RDONLY)

    monkeypatch.setattr(perf_event, "open_counter", opens)
    before = os.listdir("/proc/self/fd")

    assert Probe().answer("event", kind) == answer
    assert os.listdir("/proc/self/fd") == before
    type_ = perf_event.HARDWARE if kind == "hardware" else perf_event.SOFTWARE
    assert asked == [(Counted(type_, 0, bits=perf_event.EXCLUDE_KERNEL), 0)]


@pytest.mark.parametrize("kind", ["software", "hardware"])
def test_events_are_not_those_of_a_copy_of_a_machine(tmp_path: Path, kind: str) -> None:
    """Whatever the tree has: they are counted by the kernel that runs."""
    assert Probe(".", str(tmp_path)).answer("event", kind) == f"elsewhere {tmp_path}"


def test_another_path_is_that_of_the_host(tmp_path: Path) -> None:
    """Only `/proc` and `/sys` move."""
    assert Probe(".", str(tmp_path)).answer("readable", "/dev/null") == ""


def test_what_cannot_be_read_is_said(folder: Path) -> None:
    """With the path, and apart from what is not there."""
    with nobody():
        probe = Probe(str(folder))
        answers = [
            probe.answer("readable", f"{folder}/*"),
            probe.answer("read", "secret"),
            probe.answer("read", "open"),
        ]
        missing = probe.answer("read", "missing")

    assert answers == [
        f"denied {folder}/secret",
        f"unreadable {folder}/secret",
        "",
    ]
    assert missing == f"missing {folder}/missing"


def test_of_several_files_that_cannot_be_read_their_pattern_is_said(folder: Path) -> None:
    """So that one command mends all of them."""
    folder.chmod(0o755)
    (folder / "secret-too").touch(mode=0o000)
    with nobody():
        answer = Probe(str(folder)).answer("readable", f"{folder}/secret*")

    assert answer == f"denied {folder}/secret*"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("new.csv", "folder-unwritable {0}"),
        ("open", "unwritable {0}/open"),
    ],
)
def test_what_cannot_be_written_is_said_with_what_mends_it(folder: Path, path: str, why: str) -> None:
    """A file in a folder that is read-only, and a file that is."""
    with nobody():
        assert Probe(str(folder)).answer("write", path) == why.format(folder)


def test_where_can_be_written(tmp_path: Path) -> None:
    """A new file, one that is there, a device; not a folder, a missing folder, or what is none."""
    (tmp_path / "there").touch()
    probe = Probe(str(tmp_path))

    assert [probe.answer("write", path) for path in ("new", "there", "/dev/null", str(tmp_path / "new"))] == [""] * 4
    assert probe.answer("write", ".") == f"is-folder {tmp_path}/."
    assert probe.answer("write", "a/b/c.csv") == f"folder-missing {tmp_path}/a/b"
    assert probe.answer("write", "there/c.csv") == f"no-folder {tmp_path}/there"


def test_where_files_can_be_made(tmp_path: Path) -> None:
    """A folder that is there, or that can be made; not a file, nor what is in a missing folder."""
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    probe = Probe(str(tmp_path))

    assert [probe.answer("fill", path) for path in ("new", "folder", ".", str(tmp_path))] == [""] * 4
    assert probe.answer("fill", "a/b") == f"folder-missing {tmp_path}/a"
    assert probe.answer("fill", "there") == f"no-folder {tmp_path}/there"
    assert probe.answer("fill", "there/a") == f"no-folder {tmp_path}/there"


@pytest.mark.parametrize(("path", "why"), [(".", "folder-unwritable {0}/."), ("new", "folder-unwritable {0}")])
def test_where_no_file_can_be_made(folder: Path, path: str, why: str) -> None:
    """A folder that is read-only, and one that would be made in it."""
    with nobody():
        assert Probe(str(folder)).answer("fill", path) == why.format(folder)


def test_a_question_is_asked_once(tmp_path: Path) -> None:
    """The check sees one host, even if that changes meanwhile; the answers are kept for the lock."""
    probe = Probe(str(tmp_path))
    first = probe.answer("read", "x")
    (tmp_path / "x").touch()

    assert probe.answer("read", "x") == first
    assert probe.facts == {("read", "x"): first}
    assert Probe(str(tmp_path)).answer("read", "x") == ""


def test_a_variable_is_set_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one is set; the answer does not hold its value."""
    monkeypatch.setenv("METER_TEST_A", "")
    monkeypatch.delenv("METER_TEST_B", raising=False)
    probe = Probe()

    assert probe.answer("environment", "METER_TEST_A") == ""
    assert probe.answer("environment", "METER_TEST_B") == "unset METER_TEST_B"


@pytest.mark.parametrize(
    ("effective", "name", "why"),
    [
        ("0000004000000000", "CAP_PERFMON", ""),
        ("0000004000000000", "CAP_BPF", "unprivileged CAP_BPF {root}"),
        ("000001ffffffffff", "CAP_CHECKPOINT_RESTORE", ""),
        ("0000000000000001", "CAP_CHOWN", ""),
        ("0000000000000000", "CAP_CHOWN", "unprivileged CAP_CHOWN {root}"),
    ],
)
def test_a_capability_is_one_that_is_in_effect(tmp_path: Path, effective: str, name: str, why: str) -> None:
    """Not one that the process could only take, or hand on."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    status = f"Name:\tmeter\nCapInh:\t{'f' * 16}\nCapPrm:\t{'f' * 16}\nCapEff:\t{effective}\nCapBnd:\t{'f' * 16}\n"
    (tmp_path / "proc" / "self" / "status").write_text(status)

    assert Probe(".", str(tmp_path)).answer("capability", name) == why.format(root=tmp_path)


def test_capabilities_are_those_of_the_kernel() -> None:
    """The last one that this kernel knows has a name, and nobody has none."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    with nobody():
        answers = [Probe().answer("capability", name) for name in CAPABILITIES]

    assert last < len(CAPABILITIES)
    assert answers == [f"unprivileged {name}" for name in CAPABILITIES]


def test_without_proc_no_capability_is_known(tmp_path: Path) -> None:
    """What is asked below a folder is not answered by this process."""
    assert Probe(".", str(tmp_path)).answer("capability", "CAP_BPF") == f"missing {tmp_path}/proc/self/status"


@pytest.mark.parametrize(
    ("requirement", "why"),
    [
        ("some-thing", ""),
        ("Some.Thing>=1.2,<2", ""),
        ("some-thing>=1.3", "other-version some-thing>=1.3 1.2.post1"),
        ("old-egg==0.9", ""),
        ("linked>=3", ""),
        ("linked>=4", "other-version linked>=4 3.1"),
        ("bare", ""),
        ("bare>=1", "other-version bare>=1 ?"),
        ("gone", "uninstalled gone"),
        ("gone>=1,<2", "uninstalled gone>=1,<2"),
    ],
)
def test_a_distribution_is_one_that_would_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requirement: str, why: str
) -> None:
    """The first folder of `sys.path` that has it counts, however it was installed."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (
        first / "some_thing-1.2.post1.dist-info",
        second / "some_thing-9.dist-info",
        second / "bare.egg-info",
    ):
        folder.mkdir(parents=True)
    (second / "old_egg-0.9-py3.11.egg-info").touch()
    (second / "linked.egg-info").mkdir()
    (second / "linked.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: linked\nVersion: 3.1\n")
    monkeypatch.setattr("sys.path", [str(tmp_path / "a.zip"), str(first), str(second)])

    assert Probe().answer("python", requirement) == why


def test_distributions_are_those_that_python_knows() -> None:
    """Name and version of each that importlib.metadata has."""
    from importlib.metadata import distributions

    wanted = {each.name: each.version for each in reversed(list(distributions())) if each.name}
    probe = Probe()

    assert wanted
    assert [name for name, version in wanted.items() if probe.answer("python", f"{name}=={version}")] == []
