"""What typical faults look like on a terminal: `python -m tests.snapshots` writes tests/data/snapshots anew.

Each fault is a mount file for the built-in plugins, or a contract, in 80 columns without colour. Whoever changes a text
reads the difference as somebody who has never seen meter: what is wrong, where, what was expected, how is it mended?
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from meter.cli.render import diagnostics_text
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Recorded
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.reader import read
from tests.contracts.build import filter_, metric, name_of, output, rule, source

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "data" / "snapshots"
FILE = "meter.toml"
HEAD = '[mounts."/host"]\n'

WARM = source("warm", metric("room.temperature", unit="Cel"))
COUNTS = output(
    "counts",
    rule("${config.metrics}", 'kind = ["gauge", "counter"]'),
    more='config.metrics = { type = "list<metric>", default = ["*"] }',
)
KELVIN = output(
    "kelvin",
    rule("${config.metrics}", 'unit = "K"'),
    more='config.metrics = { type = "list<metric>", default = ["*"] }',
)
FIRST = filter_("first", rule("*", 'keeps = false\ngives = { name = "${metric}" }'))
SECOND = filter_("second", rule("*", 'keeps = false\ngives = { name = "${metric}" }'))
CONTRACT = source("probe", metric("probe.energy", unit="J", kind="delta"))

MOUNTS: dict[str, tuple[str, ...]] = {
    "plugin-unknown": (HEAD + 'plugins = ["cpuu", "memory", "csv"]\nconfig.csv.path = "x.csv"\n',),
    "word-unknown": (HEAD + 'plugns = ["cpu", "csv"]\nconfig.csv.path = "x.csv"\n',),
    "table-unknown": ('[mount."/host"]\nplugins = ["cpu"]\n',),
    "plugins-missing": (HEAD + 'prefer = ["cpu"]\n',),
    "plugins-no-list": (HEAD + 'plugins = "cpu csv"\n',),
    "plugins-item": (HEAD + 'plugins = ["cpu", 3]\n',),
    "plugins-name": (HEAD + 'plugins = ["cpu", "my csv"]\n',),
    "mountpoint": ('[mounts.host]\nplugins = ["cpu", "console"]\n',),
    "durability-word": (HEAD + 'plugins = ["cpu", "console"]\ndurability = "proces"\n',),
    "durability": (HEAD + 'plugins = ["cpu", "console"]\ndurability = "power"\n',),
    "plugin-twice": (HEAD + 'plugins = ["cpu", "console", "cpu"]\n',),
    "label-twice": (HEAD + 'plugins = ["cpu#a", "memory#a", "console"]\n',),
    "no-output": (HEAD + 'plugins = ["cpu", "memory"]\n',),
    "option-unknown": (HEAD + 'plugins = ["cpu", "console"]\nconfig.cpu.intervall = "1s"\n',),
    "option-without-unit": (HEAD + 'plugins = ["cpu", "console"]\nconfig.cpu.interval = 10\n',),
    "option-unit-spelt": (HEAD + 'plugins = ["cpu", "console"]\nconfig.cpu.interval = "10 sec"\n',),
    "option-below": (HEAD + 'plugins = ["cpu", "console"]\nconfig.cpu.interval = "1us"\n',),
    "option-word": (
        HEAD + 'plugins = ["cpu", "aggregate", "console"]\n'
        'config.aggregate = { metrics = ["system.cpu.time"], function = "summ", window = "10s" }\n',
    ),
    "option-missing": (HEAD + 'plugins = ["cpu", "csv"]\n',),
    "options-of-nobody": (HEAD + 'plugins = ["cpu", "csv"]\n[mounts."/host".config.cvs]\npath = "x.csv"\n',),
    "selector-word": (HEAD + 'plugins = ["cpu", "console"]\nconfig.console.metrics = ["*{kind=guage}"]\n',),
    "selector-form": (HEAD + 'plugins = ["cpu", "console"]\nconfig.console.metrics = ["cpu time"]\n',),
    "selects-nothing": (HEAD + 'plugins = ["cpu", "console"]\nconfig.console.metrics = ["*", "system.cpu.tiem"]\n',),
    "selects-no-value": (
        HEAD + 'plugins = ["cpu", "console"]\nconfig.console.metrics = ["*", "system.cpu.time{cpu.mode=usr}"]\n',
    ),
    "kind-gauge": (HEAD + 'plugins = ["memory", "rate", "console"]\nconfig.rate.metrics = ["system.memory.usage"]\n',),
    "kind-delta": (HEAD + 'plugins = ["cpu", "counts"]\n', COUNTS),
    "unit-offset": (HEAD + 'plugins = ["warm", "kelvin"]\n', WARM, KELVIN),
    "unit-dimension": (
        HEAD + 'plugins = ["cpu", "convert", "console"]\n'
        'config.convert = { metrics = ["system.cpu.time"], unit = "J" }\n',
    ),
    "unread": (HEAD + 'plugins = ["cpu", "memory", "console"]\nconfig.console.metrics = ["system.cpu.*"]\n',),
    "double": (
        HEAD + 'plugins = ["memory", "aggregate", "console"]\n'
        'config.aggregate = { metrics = ["system.memory.usage"], function = "sum", over = ["sytem.memory.state"] }\n',
    ),
    "clash": (HEAD + 'plugins = ["cpu#a", "cpu#b", "console"]\n',),
    "order-decides": (HEAD + 'plugins = ["cpu", "first", "second", "console"]\n', FIRST, SECOND),
    "order-inert": (HEAD + 'plugins = ["cpu", "console"]\norder = [["cpu", "consol"]]\n',),
    "order-placement": (HEAD + 'plugins = ["cpu", "console"]\norder = [["console", "cpu"]]\n',),
    "ring": (
        HEAD + 'plugins = ["cpu", "one", "two", "console"]\n',
        filter_("one", more='ordering.before = ["two"]'),
        filter_("two", more='ordering.before = ["one"]'),
    ),
    "one-file-twice": (
        HEAD + 'plugins = ["cpu", "csv#a", "csv#b"]\nconfig.a.path = "x.csv"\nconfig.b.path = "x.csv"\n',
    ),
    "folder-missing": (HEAD + 'plugins = ["cpu", "csv"]\nconfig.csv.path = "gone/x.csv"\n',),
    "host": (
        HEAD + 'plugins = ["needy", "console"]\n',
        source("needy", more='needs.host = [{ readable = ["/dev/cpu"] }]'),
    ),
    "need-unmet": (
        HEAD + 'plugins = ["cpu", "bill", "console"]\n',
        filter_("bill", more='needs.capabilities = { "counter.enrgy" = "*" }'),
    ),
    "need-version": (
        HEAD + 'plugins = ["cpu", "bill", "console"]\n',
        filter_("bill", more='needs.capabilities = { "watts" = ">=2" }'),
        source("watts"),
    ),
    "toml": (HEAD + 'plugins = ["cpu" "console"]\n',),
    "toml-twice": (HEAD + 'plugins = ["cpu"]\nplugins = ["console"]\n',),
}  # fmt: skip
"""By name a mount file, and contracts beside those of the built-in plugins."""

CONTRACTS = {
    "contract-unit": CONTRACT.replace('unit = "J"', 'unit = "joules"'),
    "contract-kind": CONTRACT.replace('kind = "delta"', 'kind = "counts"'),
    "contract-clause": CONTRACT.replace("resource =", "ressource ="),
    "contract-clause-placement": CONTRACT.replace(
        'placement = "source"', 'placement = "source"\ndurability = "process"'
    ),
    "contract-incomplete": CONTRACT.replace('unit = "J"\n', "").replace('version = "1.0.0"\n', ""),
    "contract-name": CONTRACT.replace('name = "probe"', 'name = "My Probe"'),
    "contract-interface": CONTRACT.replace('version = "1.0.0"', 'version = "1.0.0"\ninterface = ">=2"'),
    "contract-unlinted": CONTRACT.replace('author = "a"\nlicence = "BSD-3-Clause"\n', ""),
}

FACTS = {("write", "gone/x.csv"): "folder-missing gone", ("readable", "/dev/cpu"): "denied /dev/cpu"}


class Here(Recorded):
    """A host that has all that is asked of it, but for what is recorded."""

    def answer(self, kind: str, argument: str) -> str:
        """The recorded answer."""
        return self.facts.get((kind, argument), "")


@cache
def builtin() -> tuple[tuple[str, str, bytes], ...]:
    """Name, path and bytes of the contracts of all built-in plugins."""
    paths = sorted((ROOT / "plugins/meter/plugins").glob("*/contract.toml"))
    return tuple((path.parent.name, f"{path.parent.name}/contract.toml", path.read_bytes()) for path in paths)


def found(name: str) -> tuple[list[Diagnostic], dict[str, str]]:
    """What is said of a fault, and the texts of its files."""
    if name in CONTRACTS:
        file = "probe/contract.toml"
        return list(read(CONTRACTS[name].encode(), file).diagnostics), {file: CONTRACTS[name]}
    text, *contracts = MOUNTS[name]
    own = [(name_of(each), f"{name_of(each)}/contract.toml", each.encode()) for each in contracts]
    files = {FILE: text, **{path: data.decode() for _, path, data in (*builtin(), *own)}}
    parsed = parse_toml(text.encode(), FILE)
    if isinstance(parsed, Diagnostic):
        return [parsed], files
    requests, diagnostics = from_document(parsed[0], Source(FILE, text))
    catalogue = Catalogue.of((*builtin(), *own))
    for request in requests.values():
        diagnostics += check(request, catalogue, Here(FACTS)).diagnostics
    return diagnostics, files


def shown(name: str) -> str:
    """A fault as the terminal shows it."""
    diagnostics, files = found(name)
    told = [diagnostic.to_json() for diagnostic in sorted(diagnostics, key=Diagnostic.order)]
    shipped = {path for _, path, _ in builtin()}
    for each in told:  # where a built-in plugin says it may change every day
        each["spans"] = [span for span in each["spans"] if span["file"] not in shipped]
    return diagnostics_text(told, colour=False, width=80, read=files.get) + "\n"


def names() -> list[str]:
    """The names of all faults."""
    return sorted({**MOUNTS, **CONTRACTS})


def write() -> None:
    """Write each of them, and take out those that are no more."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        path.unlink()
    for name in names():
        (FOLDER / f"{name}.txt").write_text(shown(name))


if __name__ == "__main__":
    write()
