"""Which processes the source `process` measures, on made /proc trees; and what of its options is refused."""

from __future__ import annotations

import pwd
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts.diagnostics import ContractError
from meter.core import Backend
from meter.core.plugin import Gone, Missing, Retry
from meter.plugins.process.plugin import check_config
from tests.fake import SECOND
from tests.proc import HERTZ, IS_KERNEL, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.fake import Mounted

MACHINE: Mapping[int, dict[str, Any]] = {
    1: {"parent": 0, "name": "systemd", "command": ("/sbin/init", "splash")},
    2: {"parent": 0, "name": "kthreadd", "command": (), "flags": IS_KERNEL},
    10: {"parent": 1, "name": "sshd", "command": ("sshd: alice",), "uid": 0},
    11: {"parent": 10, "name": "bash", "command": ("-bash",), "uid": 1000},
    12: {"parent": 11, "name": "python3", "command": ("python3", "train.py", "--epochs", "3"), "uid": 1000},
    13: {"parent": 12, "name": "python3", "command": ("python3", "-c", "from x import y"), "uid": 1000},
    20: {"parent": 1, "name": "python3", "command": ("python3", "serve.py"), "uid": 33},
    21: {"parent": 1, "name": "kafka", "command": ("java", "-cp", "x" * 20_000, "kafka.Kafka"), "uid": 33},
}
EVERYTHING: Mapping[str, Any] = {
    "pid": [],
    "tree": [],
    "name": [],
    "command": [],
    "user": [],
    "modes": True,
    "interval": SECOND,
}


def machine(root: Path) -> Tree:
    """The machine."""
    made = Tree(root)
    for pid, more in MACHINE.items():
        made.write(pid, **more)
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One that a test changes."""
    return machine(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """One that nobody changes."""
    return machine(tmp_path_factory.mktemp("still"))


def measured(mounted: Mounted, ts: int) -> list[int]:
    """The processes of one poll whose memory is told."""
    rows = mounted.rows(ts)
    return sorted(int(row.id) for row in rows if not any(isinstance(value, Missing) for value in row.values))


@pytest.mark.parametrize(
    ("config", "pids"),
    [
        ({"name": ["python3"]}, [12, 13, 20]),
        ({"name": ["python"]}, []),  # the whole name
        ({"name": ["py*", "bash"]}, [11, 12, 13, 20]),  # any of them
        ({"name": ["[a-c]*"]}, [11]),
        ({"name": ["Python3"]}, []),  # case counts
        ({"name": ["*"]}, list(MACHINE)),
        ({"command": [r"train\.py"]}, [12]),  # found anywhere
        ({"command": [r"^python3 .*--epochs 3$"]}, [12]),  # words are parted by blanks, none is behind the last
        ({"command": ["train", "serve"]}, [12, 20]),
        ({"command": [r"kafka\.Kafka$"]}, [21]),  # however long it is
        ({"command": ["kthreadd"]}, []),  # threads of the kernel have none
        ({"user": ["1000"]}, [11, 12, 13]),
        ({"user": ["1000", "33"]}, [11, 12, 13, 20, 21]),
        ({"user": ["99"]}, []),  # the real user is somebody else
        ({"name": ["python3"], "user": ["1000"]}, [12, 13]),  # all options together
        ({"name": ["python3"], "user": ["33"], "command": ["train"]}, []),
        ({"tree": [10]}, [10, 11, 12, 13]),
        ({"tree": [10], "name": ["python3"]}, [12, 13]),
        ({"pid": [20, 12], "user": ["33"]}, [20]),
        ({"pid": [20], "tree": [11], "name": ["python3"]}, [12, 13, 20]),
    ],
)
def test_what_is_measured(tree: Tree, config: dict[str, Any], pids: list[int]) -> None:
    """Ids and trees say of which, or all; each other option lets through what fits one of its values."""
    mounted = tree.mount(**config)
    found = measured(mounted, SECOND)
    mounted.source.stop()

    assert found == pids


WORDS = {
    "name": ["python3", "*a*", "kafka", "s*"],
    "command": ["py", "java", "^-", "x"],
    "user": ["0", "1000", "33"],
}


@pytest.fixture(scope="module")
def alone(still: Tree) -> dict[tuple[str, str], set[int]]:
    """What each value of each option selects alone."""
    return {(option, word): found(still, **{option: [word]}) for option, words in WORDS.items() for word in words}


def found(made: Tree, **config: Any) -> set[int]:
    """What is measured at the first poll."""
    mounted = made.mount(**config)
    pids = measured(mounted, SECOND)
    mounted.source.stop()
    return set(pids)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.fixed_dictionaries({name: st.lists(st.sampled_from(words), unique=True) for name, words in WORDS.items()}))
def test_options_narrow_and_values_widen(
    still: Tree, alone: dict[tuple[str, str], set[int]], config: dict[str, list[str]]
) -> None:
    """Of several options the processes are those of each alone in common, of several values those of each together."""
    wanted = set(MACHINE)
    for option, words in config.items():
        if words:
            wanted &= set().union(*(alone[option, word] for word in words))

    assert found(still, **config, tree=[1, 2]) == wanted


def test_what_comes_is_measured_when_it_comes(tree: Tree) -> None:
    """None of a name is no error: the source says that there is nothing, and goes on."""
    mounted = tree.mount(name=["nginx"])
    first = measured(mounted, 1 * SECOND)
    idle = mounted.readings.idle
    tree.write(30, name="nginx")
    second = measured(mounted, 2 * SECOND)
    tree.end(30)
    third = measured(mounted, 3 * SECOND)
    mounted.source.stop()

    assert (first, second, third) == ([], [30], [])
    assert "process.cpu.time" in idle
    assert "process.memory.usage" in idle


@pytest.mark.parametrize(
    "config",
    [{"name": ["python3"]}, {"user": ["1000", "33"]}, {"pid": [12], "command": ["python3"]}],
)
def test_a_poll_without_free_descriptors_loses_nothing(tree: Tree, config: dict[str, Any]) -> None:
    """It is retried as a whole: a process that could not be looked at is no process that does not fit."""
    mounted = tree.mount(**config)
    mounted.rows(1 * SECOND)
    tree.write(12, parent=11, name="python3", user=70, uid=1000, command=("python3",))
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(Retry, match="Too many open files"):
            mounted.rows(2 * SECOND)
    finally:
        setrlimit(RLIMIT_NOFILE, (soft, hard))
    mounted.readings.drop()
    rows = {row.id: row for row in mounted.rows(3 * SECOND)}
    mounted.source.stop()

    assert (rows["12"].since, round(rows["12"].values[3] * HERTZ)) == (1 * SECOND, 70)


def test_a_process_may_become_another_program(tree: Tree) -> None:
    """After `exec` it has the same id and start; what the old program used is not of the new one."""
    mounted = tree.mount(name=["nginx"])
    tree.write(12, parent=11, name="python3", user=500)
    mounted.rows(1 * SECOND)
    tree.write(12, parent=11, name="nginx", user=600)
    first = mounted.rows(2 * SECOND)
    tree.write(12, parent=11, name="nginx", user=607)
    (second,) = mounted.rows(3 * SECOND)
    tree.write(12, parent=11, name="sh", user=900)
    third = mounted.rows(4 * SECOND)
    mounted.source.stop()

    assert [len(row.values) for row in first] == [3]  # the gauges, and the base
    assert (second.since, round(second.values[3] * HERTZ)) == (2 * SECOND, 7)
    assert third == []


@pytest.mark.parametrize("config", [{"command": ["train"]}, {"name": ["python3"]}, {"user": ["1000"]}])
def test_one_that_has_ended_stays_what_it_was(tree: Tree, config: dict[str, Any]) -> None:
    """A zombie has no command line any more; its last times are not lost."""
    mounted = tree.mount(**config)
    mounted.rows(1 * SECOND)
    tree.write(12, parent=11, name="python3", state="Z", user=9, uid=1000, command=())
    rows = {row.id: row for row in mounted.rows(2 * SECOND)}
    mounted.source.stop()

    assert round(rows["12"].values[3] * HERTZ) == 9


def test_an_id_that_is_not_let_through_says_so_once(tree: Tree) -> None:
    """It was asked for by its id, and is not measured: nobody has to wonder why."""
    mounted = tree.mount(pid=[12, 20], user=["33"])
    first, second = mounted.rows(1 * SECOND), mounted.rows(2 * SECOND)
    mounted.source.stop()

    (told,) = [row for row in first if row.id == "12"]
    assert {value.reason for value in told.values} == {"it is not one that `name`, `command` and `user` let through"}
    assert {row.id for row in second} == {"20"}


def test_ids_that_end_end_the_source_also_where_none_was_let_through(tree: Tree) -> None:
    """What has ended for good will never fit."""
    mounted = tree.mount(pid=[12], name=["nginx"])
    mounted.rows(1 * SECOND)
    tree.end(12)
    with pytest.raises(Gone):
        mounted.rows(2 * SECOND)
    mounted.source.stop()


def test_users_are_found_by_name(tree: Tree) -> None:
    """As this host knows them."""
    own = pwd.getpwuid(0)
    mounted = tree.mount(user=[own.pw_name])
    found = measured(mounted, SECOND)
    mounted.source.stop()

    assert found == [1, 2, 10]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"command": ["("]}, r"`command` has '\(', which is no regular expression: missing \), unterminated"),
        ({"command": ["ok", "a{99999999999}"]}, r"`command` has 'a\{9+\}', which is no regular expression"),
        ({"command": ["(" * 20_000]}, r"which is no regular expression"),
        ({"name": ["gnome-terminal-server"]}, r"keeps 15 bytes of a name, write 'gnome-terminal-\*'"),
        ({"name": ["ä" * 9]}, r"write 'ä{7}\*'"),
        ({"interval": 20_000_000}, r"in ticks of 10 ms.*: say `modes = false`, or an interval of 50 ms or more"),
    ],
)
def test_what_can_never_fit_is_refused(config: dict[str, Any], says: str) -> None:
    """Before anything runs, and with what to write."""
    with pytest.raises(ValueError, match=says):
        check_config({**EVERYTHING, **config})


@pytest.mark.parametrize(("modes", "interval"), [(True, SECOND // 20), (False, SECOND // 100)])
def test_intervals_that_fit_are_taken(modes: bool, interval: int) -> None:  # noqa: FBT001  (a table)
    """Five ticks by mode; without, whatever the contract permits."""
    check_config({**EVERYTHING, "modes": modes, "interval": interval})


@pytest.mark.parametrize("word", ["no-such-user", "", "-1", "a\0b"])
def test_a_user_that_is_none_is_refused(tree: Tree, word: str) -> None:
    """At the start, where the host is known; a number is of whoever has it."""
    with pytest.raises(ValueError, match="this host knows no such user: write a name or a number"):
        tree.mount(user=[word])
    mounted = tree.mount(user=["4000000000"])
    assert measured(mounted, SECOND) == []
    mounted.source.stop()


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({}, "E-CONSTRAINT"),
        ({"command": ["("]}, "E-CONFIG-REFUSED"),
        ({"name": ["x"], "interval": "20ms"}, "E-CONFIG-REFUSED"),
        ({"pid": [0]}, "E-CONFIG-RANGE"),
        ({"name": "x"}, "E-CONFIG-TYPE"),
        ({"name": ["x"], "modes": False, "interval": "20ms"}, ""),
    ],
)
def test_a_wrong_mount_is_refused(config: dict[str, Any], code: str) -> None:
    """With a diagnostic, before it runs."""
    backend = Backend("/x").add("process", **config).add("collect")
    found = []
    try:
        backend.mounted()
    except ContractError as error:
        found = [each.code for each in error.diagnostics]
    assert found == [code] * bool(code)
