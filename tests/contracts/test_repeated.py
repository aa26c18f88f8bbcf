"""A line that adds to an inline table, or says something twice: what is wrong is said in words of the file."""

from __future__ import annotations

import tomllib

import pytest

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.editing.edits import applied
from tests.contracts.build import FILE

HEAD = '[mounts."/host"]\nplugins = ["cpu"]\n'


def refused(text: str) -> Diagnostic:
    """What is said of a text that is no TOML."""
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    found = parse_toml(text.encode(), FILE)
    assert isinstance(found, Diagnostic)
    assert found.code == "E-FILE"
    return found


@pytest.mark.parametrize(
    ("before", "line", "told", "after"),
    [
        ('config.wire = { encoding = "x" }\n', 'config.wire.metrics = ["a",\n  "b"] # c\n',
         '`metrics = ["a",\n  "b"]` inside the braces of `config.wire`',
         'config.wire = { metrics = ["a",\n  "b"], encoding = "x" }\n'),
        ("config.wire = {}\n", "config.wire.metrics.deep = 1\n",
         "`metrics.deep = 1` inside the braces of `config.wire`", "config.wire = { metrics.deep = 1 }\n"),
        ('config = { csv = { path = "x" } }\n', 'config.csv."a b" = true\n',
         '`"a b" = true` inside the braces of `config.csv`', 'config = { csv = { "a b" = true, path = "x" } }\n'),
        ('config = { csv.path = "x" }\n', "config.wire.a = 1", "`wire.a = 1` inside the braces of `config`",
         'config = { wire.a = 1, csv.path = "x" }\n'),
    ],
)  # fmt: skip
def test_a_dotted_key_behind_an_inline_table(before: str, line: str, told: str, after: str) -> None:
    """The help says where it belongs, and the edit puts it there; what it gives is TOML."""
    found = refused(HEAD + before + line)
    assert found.help == f"write {told} instead"
    assert [span.line for span in found.spans] == [4, 3]
    assert found.edit is not None
    assert applied(HEAD + before + line, found.edit.changes) == HEAD + after
    assert tomllib.loads(HEAD + after)


def test_a_table_behind_an_inline_table() -> None:
    """A header cannot add to it either; what is below it is not moved unasked."""
    found = refused(HEAD + 'config.wire = { encoding = "x" }\n[mounts."/host".config.wire.more]\na = 1\n')
    assert found.message == (
        'cannot read `meter.toml`: it is not TOML: `[mounts."/host".config.wire.more]` adds to '
        '`mounts."/host".config.wire`, which is closed by its braces'
    )
    assert found.help == 'write what is below it inside the braces of `mounts."/host".config.wire` instead'
    assert found.edit is None


@pytest.mark.parametrize(
    ("text", "message", "help_", "lines"),
    [
        (f'{HEAD}plugins = ["csv"]\n', "`plugins` is there twice", "leave one of the two out", [3, 2]),
        (f"{HEAD}config.a.b = 1\nconfig.a.b = 2\n", "`config.a.b` is there twice", "leave one of the two out", [4, 3]),
        (
            f"{HEAD}\n{HEAD}", 'the table `[mounts."/host"]` is there twice',
            'leave this line out, and write what is below it where `[mounts."/host"]` is first', [4, 1],
        ),
    ],
)  # fmt: skip
def test_what_is_there_twice(text: str, message: str, help_: str, lines: list[int]) -> None:
    """Both places are shown."""
    found = refused(text)
    assert found.message == f"cannot read `meter.toml`: it is not TOML: {message}"
    assert found.help == help_
    assert [span.line for span in found.spans] == lines


@pytest.mark.parametrize("text", ["a = 1\na.b = 2\n", "a = {x = 1, x = 2}\n", "a = [1]\n[[a]]\n", "a b\n", "[a\n", "="])
def test_other_faults_are_told_as_they_are(text: str) -> None:
    """What is neither is said by the parser."""
    assert refused(text).variant == "not-toml"
