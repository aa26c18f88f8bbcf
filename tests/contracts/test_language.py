"""The contract language: every section of CONTRACT.ini is complete, true of the code and tried by its own examples."""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest

from meter.contracts import language as module
from meter.contracts import model
from meter.contracts.check import check
from meter.contracts.host import DIGEST, Recorded
from meter.contracts.language import TEXTS, Clause, language
from tests.contracts.build import catalogue, faults, output, request, shown, source

ROOT = Path(module.__file__).parents[3]
STAGES = ("read", "resolve", "order", "flow", "config", "host", "start")
HOST = Recorded(
    dict.fromkeys(
        (
            ("readable", "/proc/stat"),
            ("write", "/dev/null"),
            ("read", "/dev/null"),
            ("sysctl", "kernel.perf_event_paranoid<=1"),
            ("event", "software"),
        ),
        "",
    )
)
BASE = 'name = "example"\nversion = "1.0.0"\nplacement = "source"\n'
METRIC = [{"name": "demo.a", "type": "f64", "unit": "1", "kind": "gauge", "resource": ["machine"]}]

NOT_RAISED_HERE = {
    "E-IO": "said by the command line when the world fails",
    "W-DROPPED": "said by the engine when a queue is full",
    "W-KEPT": "said by the engine at the end of a run",
    "E-PLUGIN-RAISED": "said by the engine when code fails",
    "E-EXPORT-MISSING": "said when a plugin is loaded",
    "E-EXPORT-MISMATCH": "as E-EXPORT-MISSING",
    "E-BREACH": "said by the engine at a hop",
    "E-MOUNT-TAKEN": "said by `meter mount`",
    "E-MOUNT-UNKNOWN": "said by commands that take a mountpoint",
    "E-LOCK-STALE": "said when a lock is compared with its request",
    "E-DRIFT": "said when a lock is compared with the contracts",
    "W-DRIFT": "said when a lock is compared with the contracts",
    "E-VERSION-STEP": "said by `meter diff`",
}

CLAUSES = list(language().clauses.values())


def toml(value: Any) -> str:
    """An inline TOML value."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{ " + ", ".join(f'"{key}" = {toml(entry)}' for key, entry in value.items()) + " }"
        case list():
            return "[" + ", ".join(toml(entry) for entry in value) + "]"
        case str():
            return "'" + value + "'"
    return str(value)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables joined, anything else replaced."""
    out = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def example(clause: Clause, text: str) -> str:
    """An example put over a small contract."""
    above = tomllib.loads(text)
    below = tomllib.loads(BASE)
    if above.get("placement", "source") == "source":
        below["provides"] = {"metrics": METRIC}
    document = merged(below, above)
    if clause.name in ("name", "version", "placement") and not above:
        del document[clause.name]
    return "".join(f"{key} = {toml(value)}\n" for key, value in document.items())


def said(text: str) -> set[str]:
    """Every code that reading a contract and checking it in a small backend gives."""
    found = faults(text)
    if any(diagnostic.level == "error" for diagnostic in found):
        return {diagnostic.code for diagnostic in found if shown(diagnostic)}
    name = tomllib.loads(text)["name"]
    contracts = [text, *(source(other) for other in ("probe",)), output("sink")]
    result = check(request(f"probe {name} sink"), catalogue(*contracts), HOST)
    return {diagnostic.code for diagnostic in result.diagnostics if shown(diagnostic)}


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.name)
class TestClause:
    """One section `[clause …]`."""

    def test_is_complete(self, clause: Clause) -> None:
        """A clause says its type, obligation, stage and variance, in words that there are."""
        known = set(language().words["placement"])
        assert clause.type
        assert clause.obligatory in {"yes", "lint", "advised", "no"} | known or (*clause.path[:-1], clause.unless) in {
            each.path for each in CLAUSES
        }
        assert clause.stage in STAGES
        assert clause.variance in language().words["variance"]
        assert set(clause.placements) <= known
        assert clause.description.endswith(".")
        assert clause.codes
        assert set(clause.codes) <= set(language().codes)
        assert len(set(clause.codes)) == len(clause.codes)

    def test_has_words_exactly_if_it_takes_words(self, clause: Clause) -> None:
        """`values` stands where the type is an enum, and nowhere else."""
        assert ("enum" in clause.type) == bool(clause.values)

    def test_stands_below_a_table(self, clause: Clause) -> None:
        """A dotted clause has a parent that holds tables."""
        if len(clause.path) == 1:
            return
        path = clause.path[:-1]
        parent = language().clauses[path if path in language().clauses else path[:-1]]
        assert parent.type in ("table", "tables", "map<table>")

    def test_example_pass(self, clause: Clause) -> None:
        """The example is a contract without error, that a small backend takes."""
        assert not {code for code in said(example(clause, clause.passes)) if code.startswith("E-")}

    def test_example_fail(self, clause: Clause) -> None:
        """The counter-example is refused with a code of the clause."""
        assert said(example(clause, clause.fails)) & set(clause.codes)


@cache
def sources() -> tuple[tuple[Path, str], ...]:
    """The Python files of the product."""
    rooms = [ROOT / room for room in ("contracts", "core", "cli", "plugins")]
    paths = (path for room in rooms for path in sorted(room.rglob("*.py")))
    return tuple((path, path.read_text(encoding="utf-8")) for path in paths)


CHOOSERS = {
    "ContractBreach": ("breach", 2),
    "_breach": ("breach", 1),
    "ExportMissing": ("export", 2),
    "ExportMismatch": ("mismatch", 2),
}
"""What is called to choose a text: of which family, and which argument says it."""


def called(node: ast.Call) -> str:
    """The name of what is called, without what it is looked up in."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


class Parsed(NamedTuple):
    """What the tests ask of a file: the texts that stand in it, calls that choose one, what seem to be sentences."""

    path: Path
    literals: frozenset[str]
    calls: tuple[ast.Call, ...]
    sentences: tuple[tuple[int, str], ...]


@cache
def parsed() -> tuple[Parsed, ...]:
    """The files of the product, each parsed and walked once."""
    return tuple(_parsed(path, text) for path, text in sources())


def _parsed(path: Path, text: str) -> Parsed:
    literals: set[str] = set()
    calls: list[ast.Call] = []
    said: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            literals.add(node.value)
        elif isinstance(node, ast.Call):
            if called(node) in (*CHOOSERS, "phrase") or any(each.arg == "variant" for each in node.keywords):
                calls.append(node)
            said += sentences(node)
        elif isinstance(node, ast.Assign | ast.Dict):
            said += sentences(node)
    return Parsed(path, frozenset(literals), tuple(calls), tuple(said))


def test_every_code_that_is_raised_has_its_texts() -> None:
    """No diagnostic can leave without a section of CONTRACT.ini."""
    for path, text in sources():
        raised = set(re.findall(r'"([EW]-[A-Z]+(?:-[A-Z]+)*)"', text))
        assert raised <= set(language().codes), path


def test_every_text_belongs_to_a_code_that_is_raised() -> None:
    """A code that nothing raises is said to be one, with the reason."""
    raised = {code for _, text in sources() for code in re.findall(r'"([EW]-[A-Z]+(?:-[A-Z]+)*)"', text)}
    assert set(language().codes) - raised <= set(NOT_RAISED_HERE)
    assert set(NOT_RAISED_HERE) <= set(language().codes)


def test_every_code_of_reading_and_checking_is_named_by_a_clause_or_by_the_request() -> None:
    """Whoever reads a clause learns what it can cause: no code of the checker is unknown to all clauses."""
    of_requests = {
        "E-PLUGIN-UNKNOWN", "E-CONTRACT-MISSING", "E-DUPLICATE", "E-LABEL-CLASH", "E-OPTION", "E-ROLE-COUNT",
        "E-FLOW-UNREAD", "E-FLOW-LIMIT", "E-FILE", "E-CONFIG-MISSING", "E-CONFIG-CLASH", "E-MOUNT-NAME",
        "W-ORDER-ASKED", "W-ORDER-INERT",
    }  # fmt: skip
    named = {code for clause in CLAUSES for code in clause.codes}
    assert set(language().codes) - set(NOT_RAISED_HERE) - of_requests <= named


def test_every_code_says_in_a_sentence_what_it_is_about() -> None:
    """Without facts, so that nothing of it has to be imagined."""
    for code in language().codes.values():
        assert re.fullmatch(r"[A-Z][^$<>]{20,140}\.", code.about), code.name


def test_no_text_of_the_language_stands_in_the_code() -> None:
    """Messages, helps and descriptions are written once."""
    texts = {clause.description for clause in CLAUSES}
    for code in language().codes.values():
        texts |= set(code.texts.values())
    long = {text for text in texts if len(text) > 25}
    for file in parsed():
        assert not file.literals & long, file.path


SAYERS = {
    "Diagnostic",
    "diagnostic",
    "OptionError",
    "_fault",
    "_misfit",
    "_unread",
    "_wrong",
    "evolve",
    "fault",
    "problem",
    "say",
}
SAID = {"help", "help_", "label", "message", "relation", "short", "values", "wanted", "why"}
ALLOWED: dict[tuple[str, str], str] = {
    (
        "cli/commands/exec.py",
        "the command could not be started",
    ): "`meter: …`, no diagnostic: the light path has no texts",
    ("cli/commands/exec.py", "the output cannot be written"): "as above",
    ("cli/main.py", "the output cannot be written"): "as above",
    ("cli/commands/run.py", "write it with its unit"): "an error of usage, in click's form",
    ("core/command.py", "no folder of PATH has it"): "`meter: …`, as above",
    ("core/command.py", "there is no such file"): "as above",
    ("core/appending.py", "is being written by"): "what an output raises; E-PLUGIN-RAISED has the words around it",
    ("contracts/documents.py", "end of"): "the text of tomllib, read better",
}
"""File and words of a sentence that may stand in the code, with the reason."""


def sentences(node: ast.Call | ast.Assign | ast.Dict) -> Iterator[tuple[int, str]]:
    """Texts of several words that become, or seem to become, a fact or a label of a diagnostic."""
    if isinstance(node, ast.Call):
        if called(node) in ("_replace", *SAYERS):
            yield from _constants(value for value in (*node.args, *(k.value for k in node.keywords)))
    elif isinstance(node, ast.Assign):
        names = {getattr(target, "id", "") for target in node.targets}
        if names & SAID:
            yield from _constants([node.value])
    else:
        pairs = zip(node.keys, node.values, strict=True)
        yield from _constants(v for k, v in pairs if isinstance(k, ast.Constant) and k.value in SAID)


def _constants(values: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    for node in (node for value in values for node in ast.walk(value)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.Constant) and isinstance(text, str) and len(text) > 15 and " " in text.strip():
            yield node.lineno, text


def test_no_sentence_of_a_diagnostic_stands_in_the_code() -> None:
    """Python gives facts and the name of a variant, CONTRACT.ini the words."""
    found = {
        f"{file.path.relative_to(ROOT)}:{line}: {sentence}"
        for file in parsed()
        if file.path.relative_to(ROOT).parts[0] != "plugins"
        for line, sentence in file.sentences
        if not any(str(file.path).endswith(name) and words in sentence for name, words in ALLOWED)
    }
    assert not found, "\n".join(sorted(found))


def test_every_variant_is_chosen_somewhere() -> None:
    """A variant that nothing names is never shown; one that is named and not there would show the plain text."""
    literals = frozenset[str]().union(*(file.literals for file in parsed()))
    assert {v for code in language().codes.values() for v in code.variants()} <= literals
    for family in ("option", "type", "host"):
        for says in language().words[family].values():
            assert {key.partition(".")[2] for key in says if "." in key} <= literals, family
    known = {v for code in language().codes.values() for v in code.variants()} | {""}
    for file in parsed():
        for keyword in (each for call in file.calls for each in call.keywords if each.arg == "variant"):
            named = {c.value for c in ast.walk(keyword.value) if isinstance(c, ast.Constant)}
            assert named <= known, f"{file.path}:{keyword.value.lineno}"


def test_every_answer_of_a_host_has_its_words() -> None:
    """Keys that the probe answers are sections, and the other way round."""
    text = "".join((ROOT / f"core/meter/core/{name}.py").read_text(encoding="utf-8") for name in ("host", "vault"))
    keys = set(re.findall(r'f"([a-z-]+) \{', text)) | {"unrecorded"}
    assert keys - {DIGEST.strip()} == set(language().words["host"])


def test_facts_of_a_message_are_words() -> None:
    """`${fact}` is the only placeholder form, so that nothing stays unfilled."""
    for code in language().codes.values():
        assert code.text("message")
        assert code.text("label")
        assert code.text("help")
        assert {key.partition(".")[0] for key in code.texts} <= set(TEXTS)
        for text in code.texts.values():
            rest = re.sub(r"\$\{\w+\}", "", text)
            assert "${" not in rest, code.name
            assert not text.endswith("."), code.name


def fields(cls: type) -> set[str]:
    """Names of the clauses that a model class holds."""
    return {field.name for field in attrs.fields(cls)} - {"source", "body"}


@pytest.mark.parametrize(
    ("path", "cls"),
    [
        ((), model.Contract),
        (("provides",), model.Provides),
        (("provides", "metrics"), model.MetricClause),
        (("needs",), model.Needs),
        (("needs", "host"), model.HostNeed),
        (("needs", "metrics"), model.RuleClause),
        (("needs", "metrics", "gives"), model.GivesClause),
        (("ordering",), model.Ordering),
        (("config", "*"), model.Option),
    ],
    ids=str,
)
def test_the_model_has_a_field_for_each_clause(path: tuple[str, ...], cls: type) -> None:
    """Adding a clause to CONTRACT.ini and not to the model, or the other way, is noticed."""
    assert fields(cls) == {clause.path[-1] for clause in language().children(path)}


def test_defaults_are_values_of_their_clause() -> None:
    """What stands for a missing clause would be accepted if it were written."""
    for clause in CLAUSES:
        if clause.default is module.ABSENT or clause.obligatory == "source":
            continue
        if len(clause.path) == 1 and not clause.placements:
            text = BASE + f"provides.metrics = {toml(METRIC)}\n"
            text += "" if clause.name == "provides" else f"{clause.name} = {toml(clause.default)}\n"
            assert not [d.message for d in faults(text) if d.level == "error"], clause.name


def test_implied_clauses_are_clauses() -> None:
    """What a placement implies is read like any other clause."""
    for word, says in language().words["placement"].items():
        implied = tomllib.loads(says.get("implied", ""))
        assert set(implied) <= {clause.name for clause in language().children(())}, word


def test_every_breach_export_and_note_is_raised_and_has_its_text() -> None:
    """A key without a section would raise KeyError in the place of the fault; a section without a key is never seen."""
    used: dict[str, set[str]] = {"breach": {"nearest"}, "export": set(), "mismatch": set(), "note": set()}
    for file in parsed():
        for node in file.calls:
            name = called(node)
            family, place = CHOOSERS.get(name, ("", 0))
            if name == "phrase" and isinstance(node.args[0], ast.Constant) and node.args[0].value == "note":
                family, place = "note", 1
            if family and len(node.args) > place:
                chosen = node.args[place]
                if isinstance(chosen, ast.Constant):
                    used[family].add(str(chosen.value))
                else:  # a variable: its values are literals of the same file
                    used[family] |= file.literals & language().words[family].keys()

    assert used == {family: set(language().words[family]) for family in used}


def test_words_have_descriptions() -> None:
    """Every word of an enumeration says what it means."""
    for family, words in language().words.items():
        if family in (
            "clause",
            "code",
            "type",
            "host",
            "text",
            "note",
            "breach",
            "export",
            "mismatch",
            "licence",
            "edit",
            "rule",
        ):  # texts of diagnostics
            continue
        for word, says in words.items():
            assert says["description"], (family, word)


def test_parents_of_resources_and_consumers_are_there() -> None:
    """Resource and consumer kinds form trees that end at `machine`."""
    for family in ("resource", "consumer"):
        words = language().words[family]
        for word in words:
            seen = [word]
            while parent := words[seen[-1]].get("parent"):
                assert parent not in seen
                seen.append(parent)
            assert seen[-1] == "machine"
