"""Masked: of the lines that a change is in only values are shown that it is about."""

from __future__ import annotations

import pytest

from meter.contracts.editing.edits import Change, applied
from meter.contracts.editing.masked import masked, shown

TEXT = """[mounts."/m"]
plugins = ["cpuu", "push"]
config.push = { url = "u", tokens = ["a", { b = 2 }] }
[mounts."/m".config.push.more]
key = '''
long'''
"""


def seen(change: Change, *hidden: int) -> list[str]:
    """The lines of the text as a person sees them once a change is made."""
    return [shown(line) for line in applied(masked(TEXT, [change], hidden), [change]).split("\n")]


@pytest.mark.parametrize(
    ("change", "hidden", "line", "text"),
    [
        (Change("f", 2, 13, 4, "cpu"), (), 2, 'plugins = ["cpu", "push"]'),
        (Change("f", 2, 13, 4, "cpu"), (), 3, "config.push = { url = …, tokens = […, { b = … }] }"),
        (Change("f", 3, 17, 3, "uri"), (), 3, 'config.push = { uri = "u", tokens = […, { b = … }] }'),
        (Change("f", 3, 17, 3, "uri"), (3,), 3, "config.push = { uri = …, tokens = […, { b = … }] }"),
        (Change("f", 3, 23, 3, '"v"'), (3,), 3, 'config.push = { url = "v", tokens = […, { b = … }] }'),
        (Change("f", 3, 28, 6, "token"), (), 3, 'config.push = { url = …, token = ["a", { b = 2 }] }'),
        (Change("f", 3, 8, 4, "pull"), (), 3, "config.pull = { url = …, tokens = […, { b = … }] }"),
        (Change("f", 5, 1, 3, "name"), (5,), 5, "name = …"),
        (Change("f", 5, 1, 3, "name"), (5,), 6, "…"),
    ],
)
def test_values(change: Change, hidden: tuple[int, ...], line: int, text: str) -> None:
    """Names are shown, values where they or their own names are changed and nothing speaks against it."""
    assert seen(change, *hidden)[line - 1] == text


def test_places_stay_what_they_are() -> None:
    """A mask is as long as what it stands for."""
    hidden = masked(TEXT, [], ())

    assert [len(line) for line in hidden.split("\n")] == [len(line) for line in TEXT.split("\n")]


def test_a_contract_has_no_secrets() -> None:
    """It is shown as it is."""
    text = 'name = "p"\n[config.path]\ndefault = "x"\n'

    assert masked(text, [Change("f", 2, 9, 4, "file")], ()) == text
