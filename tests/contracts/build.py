"""Small contracts, catalogues and requests out of TOML texts, for the tests of the checker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed, Host
from meter.contracts.model import Contract, Source
from meter.contracts.mount_tables import from_document
from meter.contracts.reader import read
from meter.contracts.request import Request

FILE = "meter.toml"
STATED = 'summary = "s"\nauthor = "a"\nlicence = "BSD-3-Clause"\n'
"""The clauses whose absence is W-CLAUSE-MISSING."""


def head(name: str, placement: str, version: str = "1.0.0") -> str:
    """The first lines of a contract; more top-level keys may follow."""
    return f'name = "{name}"\nversion = "{version}"\nplacement = "{placement}"\n{STATED}'


def metric(name: str, *, kind: str = "gauge", unit: str = "1", type_: str = "f64", more: str = "") -> str:
    """One table of `provides.metrics`."""
    resource = "" if "resource" in more else 'resource = ["machine"]\n'
    return (
        f'[[provides.metrics]]\nname = "{name}"\ntype = "{type_}"\nunit = "{unit}"\nkind = "{kind}"\n{resource}{more}\n'
    )


def source(name: str = "probe", *metrics: str, more: str = "") -> str:
    """A source; `more` stands before its metrics (without any, it gives `NAME.value`)."""
    return head(name, "source") + more + "\n" + "".join(metrics or [metric(f"{name}.value")])


def rule(selector: str, more: str = "") -> str:
    """One table of `needs.metrics`."""
    return f'[[needs.metrics]]\nmetric = "{selector}"\n{more}\n'


def filter_(name: str, *rules: str, placement: str = "filter", more: str = "") -> str:
    """A filter."""
    return head(name, placement) + more + "\n" + "".join(rules)


def output(name: str = "sink", *rules: str, more: str = "") -> str:
    """An output; without rules it takes what the option `metrics` selects."""
    return head(name, "output") + more + "\n" + "".join(rules)


def needing(name: str, *needs: str, more: str = "") -> str:
    """A source with needs."""
    table = ", ".join(f'"{need}" = "*"' for need in needs)
    return source(name, more=f"needs.capabilities = {{ {table} }}\n{more}")


def giving(name: str, capability: str, more: str = "", version: str = "1.0") -> str:
    """A source that provides a capability."""
    return source(name, more=f'provides.capabilities = {{ "{capability}" = "{version}" }}\n{more}')


SELECT = (
    head("select", "postfilter")
    + '[config.drop]\ntype = "list<metric>"\n[[needs.metrics]]\nmetric = "${config.drop}"\nkeeps = false\n'
)
DIFFERENCE = filter_(
    "difference", rule("*{kind=counter}", 'gives = { name = "${metric}.delta", kind = "delta", additive = true }')
)
RATE = filter_(
    "rate",
    rule("*{kind=delta}", 'gives = { name = "${metric}.rate", type = "f64", unit = "${unit}/s", kind = "gauge" }'),
)


@lru_cache(1000)
def name_of(text: str) -> str:
    """The plugin's name, also of a contract that cannot be read."""
    parsed = parse_toml(text.encode(), "contract.toml")
    return "broken" if isinstance(parsed, Diagnostic) else str(parsed[0].get("name", "nameless"))


def catalogue(*texts: str) -> Catalogue:
    """A catalogue of contract texts; `NAME/contract.toml` is the file of each."""
    return Catalogue.of((name_of(text), f"{name_of(text)}/contract.toml", text.encode()) for text in texts)


def contract(text: str, file: str = "contract.toml") -> Contract:
    """A contract that has to be readable."""
    result = read(text.encode(), file)
    assert result.contract is not None, [d.message for d in result.diagnostics]
    return result.contract


def faults(text: str, file: str = "contract.toml") -> list[Diagnostic]:
    """What reading a contract says."""
    return list(read(text.encode(), file).diagnostics)


def requests(text: str) -> tuple[dict[str, Request], list[Diagnostic]]:
    """The requests of a mount file's text."""
    parsed = parse_toml(text.encode(), FILE)
    assert not isinstance(parsed, Diagnostic), parsed.message
    document, text = parsed
    return from_document(document, Source(FILE, text))


def request(plugins: str, more: str = "") -> Request:
    """The request of blank-separated plugins at `/host`; `more` follows in its table."""
    words = ", ".join(f'"{word}"' for word in plugins.split())
    found, diagnostics = requests(f'[mounts."/host"]\nplugins = [{words}]\n{more}')
    assert not diagnostics, [d.message for d in diagnostics]
    return found["/host"]


def run(plugins: str, *texts: str, more: str = "", host: Host | None = None) -> Checked:
    """Check a request against a catalogue of texts."""
    return check(request(plugins, more), catalogue(*texts), host or Assumed())


def ordered(result: Checked) -> list[str]:
    """The order of a plan that has to be there."""
    assert result.plan is not None, said(result)
    return list(result.plan.document["order"])


def edges(result: Checked) -> list[tuple[str, str]]:
    """The edges of a plan that has to be there."""
    assert result.plan is not None, said(result)
    return [(edge["from"], edge["to"]) for edge in result.plan.document["edges"]]


def said(result: Checked) -> list[str]:
    """Codes and messages."""
    return [f"{diagnostic.code}: {diagnostic.message}" for diagnostic in result.diagnostics]


def codes(result: Checked) -> list[str]:
    """The codes of the diagnostics, sorted by place."""
    return [diagnostic.code for diagnostic in result.diagnostics]


def one(result: Checked, code: str) -> dict[str, Any]:
    """The only diagnostic, of a known code, as JSON; it has a place and says what to change."""
    assert [code] == codes(result), said(result)
    return shown(result.diagnostics[0])


def shown(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic as JSON that is complete: a place with a label, a help; a fact that is not there raises KeyError."""
    document = diagnostic.to_json()
    assert document["spans"]
    assert document["help"]
    assert all(span["label"] for span in document["spans"])
    assert all(span["line"] >= 1 and span["column"] >= 1 and span["length"] >= 1 for span in document["spans"])
    return document


def at(document: Mapping[str, Any], text: str, place: int = 0, file: str = FILE) -> str:
    """The text that a span of a diagnostic points at."""
    span = document["spans"][place]
    assert span["file"] == file, span
    lines = text.split("\n")
    rest = "\n".join([lines[span["line"] - 1][span["column"] - 1 :], *lines[span["line"] :]])
    return rest[: span["length"]]


def pointed(document: Mapping[str, Any], plugins: str, more: str = "", place: int = 0) -> str:
    """As `at`, for the mount file that `request` writes."""
    words = ", ".join(f'"{word}"' for word in plugins.split())
    return at(document, f'[mounts."/host"]\nplugins = [{words}]\n{more}', place)
