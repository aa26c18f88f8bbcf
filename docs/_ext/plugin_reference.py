"""Makes the pages of the built-in plugins out of their contracts and their READMEs.

Each plugin has a page of its own, `plugins/NAME.md` below the pages' folder, which is written when a build begins. In
`plugins.md` the line `<!-- plugins: index -->` is replaced by the table of all, `<!-- plugins: toctree -->` by the list
that Sphinx needs. Everything but `setup` works without Sphinx, which the tests use.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from contract_reference import code, escape, table, target, toml
from meter.contracts.catalogue import Catalogue, is_listed
from meter.contracts.check import check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.contracts.language import ABSENT, language
from meter.core.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meter.contracts.model import Contract, MetricClause, Option, RuleClause


@cache
def _catalogue() -> Catalogue:
    return discover(installed=False).catalogue


def builtin() -> list[Contract]:
    """The contracts of the built-in plugins that are listed, in the order of the chain."""
    contracts = [c for c in _catalogue().contracts() if is_listed(c)]
    return sorted(contracts, key=lambda c: (language().rank("placement", c.placement), c.name))


# ------------------------------------------------------------------------------------------------------------ one page


def page(contract: Contract) -> str:
    """The page of a plugin: what its contract says, a mount that the check accepts, and what its README adds."""
    placement = language().words["placement"][contract.placement]["description"]
    facts = [f"{contract.placement} ({placement})", f"version {contract.version}", contract.licence or "no licence"]
    facts += map(code, contract.status)
    blocks = [
        f"# {contract.name}",
        f"{escape(contract.summary)}.",
        f"{', '.join(facts)}.",
        *_parts(contract),
    ]
    if command := example(contract.name):
        blocks += [
            "## Mount it",
            "Checked while this page was made, with what is needed of the host taken for granted:",
        ]
        blocks += [f"```sh\n{command}\n```"]
    return "\n\n".join([*blocks, _readme(contract)]).strip() + "\n"


def _parts(contract: Contract) -> Iterator[str]:
    """What the contract says, a section for each subject."""
    if contract.provides.metrics:
        headers = ["metric", "unit", "type, kind", "resource / consumer", "attributes", "quality", "what it says"]
        yield "## Metrics"
        yield table(headers, [_metric(metric) for metric in contract.provides.metrics])
    if contract.needs.metrics:
        yield "## What it takes and gives"
        yield "For each part of a metric the first rule that selects it applies; what no rule selects passes."
        yield from map(_rule, contract.needs.metrics)
    if contract.config:
        yield "## Options"
        rows = [_option(name, option) for name, option in sorted(contract.config.items())]
        yield table(["option", "type", "default", "bounds", "meaning"], rows)
    needs = list(_needs(contract))
    if needs:
        yield "## Needs and promises"
        yield "\n".join(f"- {need}" for need in needs)


def _metric(metric: MetricClause) -> list[str]:
    attributes = "; ".join(f"{code(name)}: {_domain(values)}" for name, values in sorted(metric.attributes.items()))
    where = f"{', '.join(metric.resource)} / {', '.join(metric.consumer)}"
    kind = f"{metric.type}, {metric.kind}"
    when = f" Only with {code(toml(metric.when))}." if metric.when else ""
    said = escape(metric.summary) + when
    return [code(metric.name), code(metric.unit), kind, where, attributes, metric.quality, said]


def _domain(values: Any) -> str:
    return escape(", ".join(values)) if isinstance(values, list | tuple) else escape(str(values))


def _rule(rule: RuleClause) -> str:
    """A rule: every clause that it states, but for what the language takes where nothing is said."""
    first, *others = _stated(rule, ("needs", "metrics"))
    return "\n".join([f"- {first}", *(f"  - {stated}" for stated in others)])


def _stated(clause: Any, path: tuple[str, ...]) -> Iterator[str]:
    for field in attrs.fields(type(clause)):
        value = getattr(clause, field.name)
        name = ".".join((*path, field.name))
        if attrs.has(type(value)):
            yield from _stated(value, (*path, field.name))
        elif value not in (None, (), {}, "", language().clauses[(*path, field.name)].default):
            shown = toml(list(value) if isinstance(value, tuple) else value)
            yield f"[`{name}`](../contracts.md#{target('clause', name)}): {code(shown)}"


def _option(name: str, option: Option) -> list[str]:
    default = "obligatory" if option.default is ABSENT else code(toml(option.default))
    return [code(name), code(option.type), default, ", ".join(_bounds(option)), escape(option.summary)]


def _bounds(option: Option) -> Iterator[str]:
    for word, value in (("at least", option.min), ("at most", option.max)):
        if value is not ABSENT:
            yield f"{word} {code(str(value))}"
    if option.values:
        yield "one of " + ", ".join(map(code, option.values))
    if option.access:
        yield "can be read" if option.access == "read" else "can be written"


def _needs(contract: Contract) -> Iterator[str]:
    for text in contract.require:
        yield f"must hold: {code(text)}"
    for name, wanted in sorted(contract.needs.capabilities.items()):
        yield f"needs {code(name)} {code(wanted)} in the backend"
    for need in contract.needs.host:
        named = f" ({need.name})" if need.name else ""
        named += f" with {code(toml(need.when))}" if need.when else ""
        asked = [f"can read {', '.join(map(code, need.readable))}"] if need.readable else []
        asked += [f"has the capability {code(name)}" for name in need.capability]
        asked += [f"has the library {code(name)}" for name in need.library]
        asked += [f"counts events of {code(name)}" for name in need.event]
        asked += [f"the setting {code(name)} is {code(wanted)}" for name, wanted in need.sysctl.items()]
        yield f"needs of the host{named}: {', '.join(asked)}"
    for name, version in sorted(contract.provides.capabilities.items()):
        yield f"provides the capability {code(name)} {version}"
    for word in ("before", "after"):
        if others := getattr(contract.ordering, word):
            yield f"stands {word} {', '.join(map(code, others))} where they are there"
    if contract.placement == "output":
        said = language().words["durability"][contract.durability]["description"]
        yield f"once a batch is written it is {code(contract.durability)}: {said}"


# ------------------------------------------------------------------------------------------------------------- example


@cache
def example(name: str) -> str:
    """The first command line that mounts a plugin and that the check accepts; the empty text where none was found."""
    contract = next(each for each in builtin() if each.name == name)
    for words in _mounts(contract):
        mountpoint = f"/{contract.name}"
        request, found = from_words(mountpoint, words, ["meter", "mount", mountpoint])
        if request is not None and not found and check(request, _catalogue(), Assumed()).plan is not None:
            return " ".join(["meter", "mount", mountpoint, *(f"'{w}'" if set(w) & set("*!{|[") else w for w in words)])
    return ""


def _mounts(contract: Contract) -> Iterator[list[str]]:
    """Words of backends that might do, the plainest first."""
    role = language().words["placement"][contract.placement]["role"]
    behind = [] if role == "output" else ["csv", f"path={contract.name}.csv"]
    if role == "source":
        for options in _values(contract, "", ""):
            yield [contract.name, *options, *behind]
        return
    unlike: dict[object, tuple[Contract, MetricClause]] = {}  # one of each sort: a filter takes all of a sort, or none
    for source in builtin():
        for metric in source.provides.metrics:
            sort = metric.type, metric.unit, metric.kind, metric.consumer, bool(metric.when)
            unlike.setdefault(sort, (source, metric))
    metrics = unlike.values()
    for source, metric in metrics:
        for given in _values(source, "", "") if metric.when else islice(_values(source, "", ""), 1):
            for options in _values(contract, metric.name, metric.unit):
                yield [source.name, *given, contract.name, *options, *behind]
    for source, metric in metrics:  # what no source gives another filter may make
        for helper in builtin():
            for made in _made(helper, metric.name):
                for options in _values(contract, made, metric.unit):
                    yield [source.name, helper.name, contract.name, *options, *behind]


def _made(contract: Contract, metric: str) -> Iterator[str]:
    """What a filter without obligatory options may make of a metric."""
    if not any(option.default is ABSENT for option in contract.config.values()):
        names = [rule.gives.name for rule in contract.needs.metrics if rule.gives is not None]
        yield from (name.replace("${metric}", metric) for name in names if name != "${metric}")


def _values(contract: Contract, metric: str, unit: str) -> Iterator[list[str]]:
    """Options of a plugin: those that are obligatory, and then one of the others as well."""
    guessed = {name: _value(option, metric, unit, contract.name) for name, option in contract.config.items()}
    obligatory = {n: guessed[n] for n, option in contract.config.items() if option.default is ABSENT}
    if None in obligatory.values():
        return
    yield [f"{name}={value}" for name, value in obligatory.items()]
    for name, value in guessed.items():
        if name not in (*obligatory, "interval") and value is not None:
            yield [f"{each}={given}" for each, given in {**obligatory, name: value}.items()]


def _value(option: Option, metric: str, unit: str, name: str) -> str | None:
    """A value that an option might take; None where none can be guessed."""
    known = {"metric": metric, "unit": unit, "path": f"host.{name}", "int": "1", "str": "text", "duration": "10s"}
    known["instance"] = "csv"
    if option.values:
        return option.values[0]
    if option.type == "map<str>":
        return "site=lab"
    if option.type == "map<formula>":
        return f"{metric}.twice={metric} * 2" if metric else None
    return known.get(option.type.removeprefix("list<").removesuffix(">")) or None


# -------------------------------------------------------------------------------------------------------------- README


def _readme(contract: Contract) -> str:
    """What a README says beside the contract: without its title, its summary and the tables in its head."""
    path = Path(contract.source.file).parent / "README.md"
    if not path.is_file():
        return ""
    head, mark, rest = re.sub(r"\A# .*\n", "", path.read_text(encoding="utf-8")).partition("\n## ")
    said = contract.summary.rstrip(".")
    kept = [
        paragraph
        for paragraph in head.strip().split("\n\n")
        if not paragraph.startswith("|") and "· version" not in paragraph and paragraph.strip().rstrip(".") != said
    ]
    text = "\n\n".join(kept) + (f"\n{mark}" if mark else "") + rest
    return re.sub(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)", lambda found: _moved(found, path), text)


def _moved(found: re.Match[str], readme: Path) -> str:
    """A link of a README as it is on a page: to another plugin's page, to another page, or its text alone."""
    text, file, anchor = found[1], found[2], found[3] or ""
    if "://" in file:
        return found[0]
    target = (readme.parent / file).resolve()
    if target.name == "README.md" and target.parent.parent == readme.parent.parent.resolve():
        return f"[{text}]({target.parent.name}.md)"
    if target.parent.name == "docs":
        return f"[{text}](../{target.name}{anchor})"
    return text


# --------------------------------------------------------------------------------------------------------------- index


def index() -> str:
    """The table of all plugins."""
    rows = [
        [
            f"[`{c.name}`](plugins/{c.name}.md)",
            c.placement,
            escape(c.summary),
            ", ".join(sorted({code(m.name) for m in c.provides.metrics})),
        ]
        for c in builtin()
    ]
    return table(["plugin", "placement", "what it does", "metrics"], rows)


def toctree() -> str:
    """The list of pages, which Sphinx wants."""
    names = "\n".join(f"plugins/{contract.name}" for contract in builtin())
    return f"```{{toctree}}\n:hidden:\n\n{names}\n```"


_PARTS: dict[str, Callable[[], str]] = {"index": index, "toctree": toctree}


def fill(text: str) -> str:
    """A page with its marks replaced."""
    for name, make in _PARTS.items():
        mark = f"<!-- plugins: {name} -->"
        if mark in text:
            text = text.replace(mark, make())
    return text


def write(folder: Path) -> None:
    """Write the page of each plugin into a folder and take out those of plugins that are gone.

    A page that stays as it is is not touched, so that Sphinx need not read it again.
    """
    folder.mkdir(exist_ok=True)
    pages = {f"{contract.name}.md": page(contract) for contract in builtin()}
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Let Sphinx write the pages before it looks for them, and call `fill` for every page that it reads."""

    def read(_app: Any, _name: str, source: list[str]) -> None:
        source[0] = fill(source[0])

    app.connect("builder-inited", lambda built: write(Path(built.srcdir) / "plugins"))
    app.connect("env-get-outdated", lambda *_: ["plugins"])  # a new plugin does not change its file
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "env_version": 2}
