"""The shelf gives what reading every file at once would give, and reads what is asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.contracts import shelf
from meter.contracts.catalogue import Catalogue
from meter.contracts.reader import read
from meter.contracts.resolution.candidates import answers, giving
from tests import strategies
from tests.contracts.build import head, metric, source

File = tuple[str, str, bytes]

HEADS = (
    'name = "{}"\n',
    "name = '{}'  # it is called so\n",
    '  name = "{}"\n',
    '"name" = "{}"\n',
    'na\\u006de = "{}"\n',
    '"na\\u006de" = "{}"\n',
    '# name = "other"\nname="{}"\r\n',
    'summary = """\nname = "other"\n"""\nname = "{}"\n',
    'x-note = [\n  "[",\n]\nname = "{}"\n',
    '[x-table]\nname = "other"\n#{}\n',
    ' [x-table]\nname = "other"\n#{}\n',
    'name = "other"\nname = "{}"\n',
    "name = {}\n",
    "\ufeffname = '{}'\n",
)
"""Ways to state a name, some of which are none."""


def at_once(files: list[File]) -> dict[str, list[tuple[str, bool]]]:
    """For each name the paths of its files, and whether they can be read."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for suggested, path, data in sorted(files):
        contract = read(data, path, stem=suggested if path.endswith(".py") else "plugin").contract
        found.setdefault(contract.name if contract else suggested, []).append((path, contract is not None))
    return dict(sorted(found.items()))


@st.composite
def files(draw: st.DrawFn) -> list[File]:
    """Files of a few names, some in places that suggest another one, some broken, some Python."""
    found = []
    for number in range(draw(st.integers(0, 5))):
        name, suggested = (draw(st.sampled_from(("a", "b", "other"))) for _ in range(2))
        text = draw(st.sampled_from(HEADS)).format(name) + 'version = "1.0.0"\nplacement = "output"\n'
        path = f"{number}/{suggested}/contract.toml"
        if draw(st.integers(0, 4)) == 0:
            text = "\n".join(["# /// meter", *(f"# {line}" for line in text.splitlines()), "# ///", ""])
            path = f"{number}/{suggested}.py"
        found.append((suggested, path, text.encode()))
    return found


@given(files(), st.data())
@settings(strategies.steady, max_examples=400)
def test_it_has_the_entries_that_reading_all_files_gives(found: list[File], data: st.DataObject) -> None:
    """Whatever is asked first, in whatever order the files come."""
    wanted = at_once(found)
    books = shelf.Shelf(data.draw(st.permutations(found)))
    for name in data.draw(st.permutations(("a", "b", "other", "neither"))):
        entries = books.get(name, ())
        assert [(entry.path, entry.contract is not None) for entry in entries] == wanted.get(name, [])
        assert all(entry.name == name for entry in entries)
        assert (name in books) == (name in wanted)
    assert list(books) == list(wanted)
    assert len(books) == len(wanted)


@given(strategies.scenes())
@settings(strategies.steady, max_examples=60)
def test_contracts_that_mention_a_word_are_all_that_could_matter(scene: strategies.Scene) -> None:
    """No contract is left out that provides a capability, gives a metric, or is of a name."""
    catalogue = Catalogue.of((f"at-{place}", f"{place}.toml", text.encode()) for place, text in enumerate(scene[0]))
    for word in 4 * ("cap.one", "cap.two", "s0", "f1", "s0.m0", "shared.m0", "made.m0"):
        mentioned = list(catalogue.mentioning(word))
        for contract in catalogue.contracts():
            if answers(contract, word, "*") or any(giving(contract, word, literal=True)):
                assert contract in mentioned


def test_a_word_behind_an_escape_is_found() -> None:
    r"""`\u0063ap` is `cap`."""
    text = source(more='provides.capabilities = { "\\u0063ap" = "1.0" }')
    assert [c.name for c in Catalogue.of([("a", "a.toml", text.encode())]).mentioning("cap")] == ["probe"]


def test_only_what_is_asked_for_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of one plugin reads one contract of many, and a need those that mention it."""
    paths: list[str] = []

    def counted(data: bytes, file: str, stem: str = "plugin") -> object:
        paths.append(file)
        return read(data, file, stem)

    monkeypatch.setattr("meter.contracts.shelf.read", counted)
    texts = {name: head(name, "source") + metric(f"{name}.x") for name in ("one", "two", "three")}
    catalogue = Catalogue.of((name, f"{name}/contract.toml", text.encode()) for name, text in texts.items())
    assert paths == []
    assert [entry.path for entry in catalogue.entries["two"]] == ["two/contract.toml"]
    assert [contract.name for contract in catalogue.mentioning("three.x")] == ["three"]
    assert paths == ["two/contract.toml", "three/contract.toml"]
    assert [contract.name for contract in catalogue.contracts()] == ["one", "three", "two"]
    assert sorted(paths) == sorted(f"{name}/contract.toml" for name in texts)
