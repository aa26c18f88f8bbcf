"""Made chains: contracts and a request, sound more often than not, that use every clause which reaches further.

A scene depends on its random numbers alone. Contracts and requests are values, so that they can be written in any
order of tables and be changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import toml
from meter.contracts.catalogue import Catalogue
from meter.contracts.check import Checked, check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.host import Assumed
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

Document = dict[str, Any]

KINDS: Final = ("delta", "delta", "gauge", "counter")
UNITS: Final = ("J", "J", "kJ", "W", "By", "s", "1", "{packet}", "Cel", "%")
RESOURCES: Final = ("machine", "cpu_package", "cpu_core", "gpu", "dram", "disk")
ATTRIBUTES: Final[dict[str, list[str] | str]] = {"p": ["1", "2", "3"], "q": ["u", "v"], "r": "str"}
CAPABILITIES: Final = ("cap.one", "cap.two")
CLAUSES: Final = ("recommends", "conflicts", "alias", "config_for", "claims", "require", "parts", "when", "host")
"""Clauses that are counted where they are used; `merge` and more are besides."""


class Scene(NamedTuple):
    """Contracts, and what is written at one mountpoint."""

    contracts: tuple[Document, ...]
    request: Document

    def uses(self) -> set[str]:
        """What of the language it uses, of what is worth counting."""
        found = {word for word in ("optional", "want", "prefer", "order", "durability") if word in self.request}
        return found | {word for contract in self.contracts for word in _words(contract)}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, entry in value.items():
            if name in (*CLAUSES, "merge", "drop", "interval", "ordering", "formula", "keeps"):
                yield name
            yield from _words(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _words(entry)


class Partly(Assumed):
    """A host that lacks whatever has `absent` in its name."""

    def answer(self, kind: str, argument: str) -> str:
        """The empty text, or that it is missing."""
        del kind
        return f"missing {argument}" if "absent" in argument else ""


def chance(rng: Random, percent: int) -> bool:
    """True so often."""
    return rng.randrange(100) < percent


def some(rng: Random, words: Sequence[Any], most: int = 2) -> list[Any]:
    """One to `most` of some words, in their order."""
    chosen = set(rng.sample(range(len(words)), min(len(words), rng.randint(1, most))))
    return [word for place, word in enumerate(words) if place in chosen]


def _head(name: str, placement: str, **more: Any) -> Document:
    head = {"name": name, "version": "1.0.0", "placement": placement}
    return {**head, "summary": "s", "author": "a", "licence": "MIT", **more}


# ------------------------------------------------------------------------------------------------------------- plugins


def source(rng: Random, name: str) -> Document:
    """A source of one to three metrics, now and then one that another has, too."""
    contract = _head(name, "source")
    config: Document = {}
    metrics = []
    for place in range(rng.randint(1, 3)):
        shared = chance(rng, 8)
        metric: Document = {
            "name": "shared.m" if shared else f"{name}.m{place}",
            "type": "f64" if shared or chance(rng, 70) else "u64",
            "unit": "J" if shared else rng.choice(UNITS),
            "kind": "delta" if shared else rng.choice(KINDS),
            "resource": some(rng, RESOURCES),
        }
        if chance(rng, 60):
            metric["attributes"] = {word: ATTRIBUTES[word] for word in some(rng, sorted(ATTRIBUTES))}
            if shared:
                metric["attributes"]["from"] = [name]
            if "p" in metric["attributes"] and chance(rng, 30):
                metric["parts"] = {"p": {"1": "2"}}
        if chance(rng, 10):
            config["more"] = {"type": "bool", "default": chance(rng, 70)}
            metric["when"] = {"more": True}
        if chance(rng, 8):
            metric["host"] = {"readable": [rng.choice(("/proc/stat", "/proc/absent"))]}
        if chance(rng, 10):
            metric["interval"] = rng.choice(("1s", "10s", "${config.interval}"))
        if chance(rng, 10):
            metric["quality"] = rng.choice(("derived", "estimated"))
        if chance(rng, 6):
            metric["additive"] = chance(rng, 50)
        metrics.append(metric)
    if chance(rng, 6):
        config["items"] = {"type": "list<str>", "default": some(rng, ["a", "b", "c"], 3)}
        metrics.append({**metrics[0], "name": f"{name}.${{config.items}}"})
    if chance(rng, 5):
        contract["needs"] = {"host": [{"readable": ["/proc/absent"]}, {"readable": ["/proc/stat"]}][chance(rng, 50) :]}
    return _reaching(rng, {**contract, "provides": {"metrics": metrics}}, config)


def filter_(rng: Random, name: str, metrics: Sequence[Document]) -> Document:
    """A filter of one or two rules over metrics that there are."""
    placement = rng.choice(("filter", "filter", "filter", "filter", "prefilter", "postfilter"))
    config: Document = {}
    rules = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        rule = _rule(rng, name, metrics)
        if chance(rng, 25):
            config["metrics"] = {"type": "list<metric>", "default": [rule["metric"]]}
            rule["metric"] = "${config.metrics}"
        if chance(rng, 10):
            config["fast"] = {"type": "bool", "default": chance(rng, 80)}
            rule["when"] = {"fast": True}
        if chance(rng, 6):
            rule["require"] = [rng.choice(("interval >= 1ms", "interval <= 2s", "interval >= 1h"))]
        rules.append(rule)
    return _reaching(rng, {**_head(name, placement), "needs": {"metrics": rules}}, config)


def _rule(rng: Random, name: str, metrics: Sequence[Document]) -> Document:
    """One rule: what it takes and what it makes of it."""
    taken = rng.choice(metrics)
    metric = taken["name"] if chance(rng, 60) else rng.choice(("*", "*.m0", "s0.*", "*{kind=delta}", "s*.m[01]"))
    new = f"${{metric}}.{name}"
    gives: Document = {"name": new}
    rule: Document = {"metric": metric, "gives": gives}
    match rng.randrange(11):
        case 0:
            rule["metric"] = "*{kind=delta}"
            gives |= {"type": "f64", "unit": "${unit}/s", "kind": "gauge"}
        case 1:
            rule["metric"] = "*{kind=counter}"
            gives |= {"kind": "delta", "additive": True}
        case 2:
            rule["keeps"] = False
            gives |= {"name": "${metric}", "attributes": {f"by_{name}": "yes"}}
        case 3 | 4:
            gives["merge"] = rng.choice(("sum", "max", "min", "mean", "last"))
            gives["drop"] = some(rng, (*taken.get("attributes", ()), "resource"))
            if chance(rng, 40):
                gives["interval"] = "10s"
        case 5:
            rule = {"metric": metric, "keeps": False}
        case 6:
            rule["metric"] = "*{unit=J}"
            gives |= {"type": "f64", "unit": "kJ"}
        case 7:
            gives |= {"resource": ["machine"], "merge": "max", "kind": "gauge"}
        case 8:
            rule["keeps"] = chance(rng, 70)
        case 9:
            gives |= {"name": rng.choice(("made.m", f"{name}.made")), "interval": "1s"}
        case 10:
            rule = {"metric": metric}
    return rule


def output(rng: Random, name: str, metrics: Sequence[Document]) -> Document:
    """An output; most take everything."""
    contract = _head(name, "output", durability=rng.choice(("volatile", "process", "power")))
    config: Document = {}
    if chance(rng, 15):
        rule: Document = {"metric": rng.choice(("*", "*", rng.choice(metrics)["name"]))}
        if chance(rng, 50):
            rule["drop"] = some(rng, ("p", "q", "r", "resource"), 1)
        contract["needs"] = {"metrics": [rule]}
    if chance(rng, 10):
        contract["names"] = rng.choice(("prometheus", "plain"))
    if chance(rng, 15):
        config["path"] = {"type": "path", "default": rng.choice(("/tmp/one", f"/tmp/{name}")), "access": "write"}
    return _reaching(rng, contract, config)


def _reaching(rng: Random, contract: Document, config: Document) -> Document:
    """A contract with clauses that reach out to other plugins."""
    others = [f"s{place}" for place in range(3)] + [f"f{place}" for place in range(4)] + list(CAPABILITIES)
    others.remove(contract["name"]) if contract["name"] in others else None
    if chance(rng, 15):
        contract.setdefault("provides", {})["capabilities"] = {rng.choice(CAPABILITIES): rng.choice(("1.0", "2.0"))}
    if chance(rng, 5):
        contract.setdefault("needs", {})["capabilities"] = {rng.choice(CAPABILITIES): rng.choice(("*", ">=1,<2"))}
    if chance(rng, 8):
        contract["recommends"] = dict.fromkeys(some(rng, others), "*")
    if chance(rng, 1):
        contract["conflicts"] = {rng.choice(others): rng.choice(("*", ">=2"))}
    if contract["placement"] == "filter" and chance(rng, 25):
        contract["ordering"] = {rng.choice(("before", "after")): some(rng, others[3:], 1)}
    if chance(rng, 5):
        contract["config_for"] = {rng.choice(others[:3]): {"depth": rng.choice((1, 1, 2))}}
    if chance(rng, 60):
        config["depth"] = {"type": "int", "default": 1, "min": 0}
        if chance(rng, 20):
            contract["require"] = ["config.depth <= 8"]
    if chance(rng, 5):
        contract["claims"] = [rng.choice(("file:/run/one", f"file:/run/{contract['name']}"))]
    if chance(rng, 20):
        contract["status"] = some(rng, ("maintained", "unittest", "nodoc", "-5", "experimental"))
    return {**contract, "config": config} if config else contract


# -------------------------------------------------------------------------------------------------------------- scenes


def scene(rng: Random) -> Scene:
    """A catalogue and a request for most of it."""
    sources = [source(rng, f"s{place}") for place in range(rng.randint(1, 3))]
    metrics = [metric for each in sources for metric in each["provides"]["metrics"] if "$" not in metric["name"]]
    names = [metric["name"] for metric in metrics]
    filters = [filter_(rng, f"f{place}", metrics) for place in range(rng.choice((0, 1, 1, 2, 2, 3, 4)))]
    outputs = [output(rng, f"o{place}", metrics) for place in range(rng.choice((1, 1, 2, 3)))]
    contracts = [*sources, *filters, *outputs]
    words = [contract["name"] for contract in contracts]
    if chance(rng, 90):
        helper = _head("helper", "output", provides={"capabilities": dict.fromkeys(CAPABILITIES, "1.0")})
        contracts.append(helper)
    if chance(rng, 12):
        group = {**_head("group", "filter"), "alias": [*some(rng, words), "depth=1"]}
        if chance(rng, 60):
            group["alias"].pop()
        contracts.append(group)
        words.append("group")
    if chance(rng, 20):
        words.remove(rng.choice(words))
    if filters and chance(rng, 10):
        words.append(f"{rng.choice(filters)['name']}#twice")
    if chance(rng, 10):
        words.append(rng.choice(CAPABILITIES))
    rng.shuffle(words)
    request: Document = {"plugins": words}
    if chance(rng, 10):
        request["optional"] = [rng.choice(sources)["name"], "o0#spare"][chance(rng, 50) :]
        request["plugins"] = [word for word in words if word not in request["optional"]]
    if chance(rng, 10):
        request["want"] = some(rng, [*names, "nobody.has"][: len(names) + chance(rng, 20)])
    if chance(rng, 10):
        request["prefer"] = some(rng, words)
    if chance(rng, 5):
        request["durability"] = "process"
    if len(filters) > 1 and chance(rng, 10):
        request["order"] = [[each["name"] for each in rng.sample(filters, 2)]]
    if chance(rng, 10):
        request["recommends"] = False
    if chance(rng, 10):
        request["config"] = {rng.choice(outputs)["name"]: {"metrics": ["*", *some(rng, names)]}}
    return Scene(tuple(contracts), request)


def files(scene: Scene, rng: Random | None = None) -> list[tuple[str, str, bytes]]:
    """The contracts as files of a catalogue; with `rng` the keys of all tables are in another order."""
    texts = [(str(each["name"]), toml.document(each, rng)) for each in scene.contracts]
    return [(name, f"{name}/contract.toml", text.encode()) for name, text in texts]


def run(scene: Scene, rng: Random | None = None, order: Iterable[int] | None = None) -> Checked:
    """Check a scene; with `rng` the keys of all tables are in another order, with `order` the files are."""
    texts = files(scene, rng)
    catalogue = Catalogue.of(texts if order is None else [texts[place] for place in order])
    text = toml.document({"mounts": {"/host": scene.request}}, rng)
    parsed = parse_toml(text.encode(), "meter.toml")
    assert not isinstance(parsed, Diagnostic), parsed.message
    requests, found = from_document(parsed[0], Source("meter.toml", text))
    assert not found, found[0].message
    return check(requests["/host"], catalogue, Partly())
