"""A chain of real plugins after a made source: checked as `meter mount` checks it, driven without an engine."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meter.plugins.cpu
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.command_line import from_words
from meter.contracts.host import Assumed
from meter.contracts.rules import Rule, WorstQuality
from meter.contracts.variants import Variant
from meter.core.batch import Anchor, Batch, Block
from meter.core.bind import Bound, Says, bind, nobody, silent
from meter.core.building import build
from meter.core.keys import KeySet, Metric
from meter.core.pipeline import quiet
from meter.core.plugin import Context, Missing
from meter.core.readings import Columns, Declared, Row
from meter.core.sampling import Sampler
from meter.core.scrutiny import Given, verify_gaps, verify_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meter.core.keys import Entity, Key
    from meter.core.layout import Layout
    from meter.core.plugin import Filter, Output

PLUGINS = Path(meter.plugins.cpu.__file__).parent.parent
SECOND = 1_000_000_000
ANCHOR = Anchor(0, 1_700_000_000 * SECOND)

METRIC = """
[[provides.metrics]]
name = "{name}"
type = "{type_}"
unit = "{unit}"
kind = "{kind}"
resource = ["machine", "network_interface", "filesystem"]
consumer = ["machine", "cgroup"]
attributes = {attributes}
"""


def metric(
    name: str, kind: str = "counter", type_: str = "u64", unit: str = "By", attributes: str = '{ "of" = "str" }'
) -> str:
    """A table of the made source's contract."""
    return METRIC.format(name=name, kind=kind, type_=type_, unit=unit, attributes=attributes)


def checked(metrics: Sequence[str], *words: str) -> Checked:
    """What the check says of a source `made`, the plugins and options that the words name, and `collect`."""
    made = "\n".join(['name = "made"', 'version = "1.0.0"', 'placement = "source"', *metrics])
    names = {word.partition("#")[0] for word in words if "=" not in word} | {"collect"}
    files = [("made", "made/contract.toml", made.encode())]
    files += [
        (name, f"{name}/contract.toml", (PLUGINS / name / "contract.toml").read_bytes()) for name in sorted(names)
    ]
    request, diagnostics = from_words("/test", ["made", *words, "collect"], ["meter", "mount", "/test"])
    assert request is not None, diagnostics
    return check(request, Catalogue.of(files), Assumed())


def refusals(metrics: Sequence[str], *words: str) -> list[str]:
    """The codes of the errors that the check finds."""
    return [found.code for found in checked(metrics, *words).diagnostics if found.level == "error"]


def looked_at(blocks: Iterable[Block]) -> None:
    """Verify blocks as the engine does, all of them closely."""
    together = Given()
    for block in blocks:
        block.verify()
        verify_spans("test", block)
        verify_gaps("test", block, Sampler())
        together.add("test", block, closely=True)


class Element:
    """One started plugin with its resolved rules."""

    def __init__(
        self, plan: dict[str, Any], label: str, anchor: Anchor | None = None, sysroot: Path | None = None
    ) -> None:
        (said,) = [said for said in plan["plugins"] if said["instance"] == label]
        module, _, attribute = said["exports"]["plugin"].partition(":")
        plugin = getattr(import_module(f"meter.plugins.{said['plugin']}.{module}"), attribute)
        self.label = label
        self.plugin: Any = plugin(said["config"])
        self.rules = [Rule.from_json(rule) for rule in said["rules"]]
        self.worst = WorstQuality(plan["qualities"])
        self.bindings: dict[Layout, Bound] = {}
        self.promised: dict[str, set[Metric]] = {}
        self.plugin.start(Context(label, sysroot, anchor))

    def bound(self, layout: Layout) -> Bound:
        """The rules on a layout; the filter is told once of each."""
        if layout not in self.bindings:
            found = self.bindings[layout] = bind(
                self.label, self.rules, layout, self.worst, Says(self._owner, self._told)
            )
            for key in (key for selection in found.selections for key in selection.outputs):
                self.promised.setdefault(key.name, set()).add(key.metric)
        return self.bindings[layout]

    def _owner(self, key: Key, family: str, kinds: tuple[str, ...]) -> Entity:
        """As the filter says."""
        found: Entity | None = self.plugin.owner(key, family, kinds)
        return nobody(key, family, kinds) if found is None else found

    def _told(self, key: Key, names: tuple[str, ...]) -> Mapping[str, str]:
        """As the filter says."""
        found: Mapping[str, str] | None = self.plugin.tell(key, names)
        return silent(key, names) if found is None else found

    def hop(self, block: Block) -> list[Block]:
        """What a filter makes of a block: what passes it, then what it gives, which must be what its rules promise."""
        bound = self.bound(block.layout)
        filter_: Filter = self.plugin
        given = list(filter_.run(bound.selections, block))
        promised = {key.name: key.metric for selection in bound.selections for key in selection.outputs}
        looked_at(given)
        for made in given:
            assert made.rows
            assert all(promised[key.name] == key.metric for key in made.layout.keys)
        passing = [] if bound.passing is None else [block.select(bound.passing)]
        return passing + given

    def held(self, blocks: Iterable[Block]) -> list[Block]:
        """What a filter gives of what it held back, which must be what its rules promised on some layout."""
        given = [made for made in blocks if made.rows]
        looked_at(given)
        for made in given:
            assert all(key.metric in self.promised[key.name] for key in made.layout.keys)
        return given

    def routed(self, block: Block) -> list[Block]:
        """What an output gets of a block."""
        keys = KeySet(key for selection in self.bound(block.layout).selections for key in selection.inputs)
        return [block.select(block.layout.restrict(keys))] if len(keys) else []


class Chain:
    """A source `made` with some metrics, and the plugins that the words name, in the order of the plan."""

    def __init__(
        self, metrics: Sequence[str], *words: str, anchor: Anchor | None = None, sysroot: Path | None = None
    ) -> None:
        plan = checked(metrics, *words).require().document
        roles = {said["instance"]: said["role"] for said in plan["plugins"]}
        emits = next(said["emits"] for said in plan["plugins"] if said["instance"] == "made")
        self.declared = Declared("made", [Variant.from_json(variant) for variant in emits], qualities=plan["qualities"])
        self.filters = [Element(plan, label, anchor, sysroot) for label in plan["order"] if roles[label] == "filter"]
        self.outputs = {label: Element(plan, label) for label in plan["order"] if roles[label] == "output"}
        self.schema: dict[str, Any] = plan["schema"]
        self.seq = 0

    def key(self, name: str, of: str = "a", nic: str | None = None) -> Key:
        """A series of the source."""
        resource = "machine" if nic is None else "network_interface"
        return self.declared.key(name, nic, None, resource, "machine", {"of": of})

    def columns(self, *keys: Key) -> Columns:
        """The columns of some series."""
        return self.declared.interned(keys)

    def blocks(self, rows: Iterable[Row]) -> list[Block]:
        """What the filters make of rows."""
        blocks = list(build(list(rows)))
        with quiet():
            for element in self.filters:
                blocks = [made for block in blocks for made in element.hop(block)]
        return blocks

    def hand_over(self, rows: Iterable[Row]) -> list[Block]:
        """What the filters make of rows that are handed over together; each is told then how far time has come."""
        taken = list(rows)
        blocks = list(build(taken))
        newest = max(row.ts for row in taken)
        with quiet():
            for element in self.filters:
                blocks = [made for block in blocks for made in element.hop(block)]
                blocks += element.held(element.plugin.watermark(newest))
        return blocks

    def finish(self) -> list[Block]:
        """What the filters give at the end."""
        blocks: list[Block] = []
        with quiet():
            for element in self.filters:
                blocks = [made for block in blocks for made in element.hop(block)]
                blocks += element.held(element.plugin.finish())
        return blocks

    def batch(self, rows: Iterable[Row]) -> Batch:
        """The same as a batch."""
        self.seq += 1
        return Batch(tuple(self.blocks(rows)), ANCHOR, self.seq)

    def write(self, rows: Iterable[Row], label: str = "collect") -> None:
        """Give an output what it gets of the rows."""
        element, batch = self.outputs[label], self.batch(rows)
        output: Output = element.plugin
        output.write(batch._replace(blocks=tuple(part for block in batch.blocks for part in element.routed(block))))


def cells(blocks: Iterable[Block], name: str) -> list[tuple[Any, int, int]]:
    """Value (for a missing one its reason, in brackets), since and ts of a metric's cells, by time and key."""
    found = []
    for block in blocks:
        for row, key, value in block.points():
            if key.metric.name == name:
                shown = f"({value.reason})" if isinstance(value, Missing) else value
                found.append((int(block.ts[row]), key, shown, int(block.since[row])))
    return [(shown, since, ts) for ts, _, shown, since in sorted(found, key=lambda cell: cell[:2])]
