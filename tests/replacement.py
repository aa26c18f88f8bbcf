"""Contracts of three plugins and later versions of them, made out of numbers: near numbers make near contracts.

Each choice that is made in a contract has a name, and takes the number that the name falls on. So a later version is
made of the same numbers with a few others among them, and hypothesis finds the smallest change that breaks a claim.
The number 0 makes what can be mounted, and is the most frequent one.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

NUMBERS = 96
"""So many numbers make a contract."""

Value = TypeVar("Value")


class Watched(list[int]):
    """Numbers that remember which of them were asked for."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(numbers)
        self.asked: set[int] = set()


class Choices:
    """Named choices among values, decided by numbers."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers

    def __call__(self, name: str, *values: Value) -> Value:
        """One of some values."""
        at = zlib.crc32(name.encode()) % len(self.numbers)
        if isinstance(self.numbers, Watched):
            self.numbers.asked.add(at)
        return values[self.numbers[at] % len(values)]

    def some(self, name: str, values: Sequence[str]) -> list[str]:
        """Some of some words, in their order."""
        return [word for word in values if self(f"{name} {word}", False, True)]


def numbers() -> st.SearchStrategy[list[int]]:
    """What a contract is made of."""
    return st.integers(0, 1 << 32).map(_numbers)


def _numbers(seed: int) -> list[int]:
    chance = random.Random(seed)  # a hundred draws of hypothesis would take longer than the comparison
    return [chance.randrange(60) if chance.random() < 0.2 else 0 for _ in range(NUMBERS)]


@st.composite
def later(draw: st.DrawFn, name: str, made_of: Sequence[int], most: int = 3) -> list[int]:
    """What a later version of a plugin is made of: other numbers where they decide something."""
    watched = Watched(made_of)
    MAKERS[name](name, watched)
    new = list(made_of)
    for _ in range(draw(st.integers(1, most))):
        new[draw(st.sampled_from(sorted(watched.asked)))] = draw(st.integers(0, 59))
    return new


def toml(value: Any) -> str:
    """An inline TOML value."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{ " + ", ".join(f"{json.dumps(key)} = {toml(entry)}" for key, entry in value.items()) + " }"
        case list():
            return "[" + ", ".join(toml(entry) for entry in value) + "]"
        case str():
            return json.dumps(value)
    return str(value)


def text(document: dict[str, Any]) -> str:
    """A contract's text."""
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in document.items())


def _whole(name: str, placement: str, c: Choices) -> dict[str, Any]:
    """The clauses that every plugin may have."""
    document: dict[str, Any] = {
        "name": name,
        "version": c("version", "1.0.0", "1.0.1", "1.1.0"),
        "placement": placement,
        "summary": c("summary", "s", "t"),
        "author": "a",
        "licence": "BSD-3-Clause",
        "interface": c("interface", ">=1,<2", ">=1,<3", "*"),
        "status": c.some("status", ("maintained", "unittest")),
        "state": c("state", "none", "none", "rebuildable", "lost"),
        "recommends": c("recommends", {}, {}, {"cap.one": "*"}),
        "config": _options(c),
    }
    provided = {}
    for word in ("cap.one", "cap.two"):
        version = c(f"provides {word}", None, "1.0", "1.1", "1.1", "2.0")
        if version:
            provided[word] = version
    document["provides"] = {"capabilities": provided}
    needed = {}
    for word in ("cap.one", "cap.two"):
        wanted = c(f"needs {word}", None, None, None, None, None, "*", ">=1", ">=1.1", ">=1,<3")
        if wanted:
            needed[word] = wanted
    document["needs"] = {"capabilities": needed}
    if c("host", False, False, True):
        document["needs"]["host"] = [
            {"name": f"way{n}", "readable": c.some(f"host {n}", ("/proc/stat", "/proc/uptime", "/proc/denied"))}
            for n in range(c("alternatives", 1, 2))
        ]
    for clause in ("before", "after"):
        targets = c.some(f"ordering {clause}", ("f0", "f1", "cap.one", "nobody"))
        targets = [word for word in targets if word != name and c(f"edge {clause} {word}", False, False, True)]
        document.setdefault("ordering", {})[clause] = targets
    conflict = c("conflicts", *[None] * 8, "cap.one", "cap.two", "other")
    if conflict and conflict not in provided:
        document["conflicts"] = {conflict: c("excluded", "*", ">=2", "<2")}
    relation = c(
        "require", *[None] * 4, "config.depth >= 1", "1 <= config.depth", "config.depth + 1 < 9", "config.depth < 3"
    )
    document["require"] = [relation] if relation else []
    claim = c("claims", *[None] * 6, "file:/run/x", "tcp:127.0.0.1:${config.depth}")
    document["claims"] = [claim] if claim else []
    return document


def _options(c: Choices) -> dict[str, Any]:
    """Options with every clause that options have."""
    found: dict[str, Any] = {}
    depth: dict[str, Any] = {"type": c("depth", *["int"] * 9, "size"), "default": c("depth default", 2, 2, 3)}
    if depth["type"] == "size":
        depth["default"] = "2B"
    elif c("depth min", False, True):
        depth["min"] = c("depth least", 0, 1, 2)
    if depth["type"] == "int" and c("depth max", False, True):
        depth["max"] = c("depth most", 9, 5, 4)
    found["depth"] = depth
    words = c("mode values", ["a", "b"], ["a", "b"], ["b", "a"], ["a", "b", "c"], ["a"])
    found["mode"] = {"type": c("mode type", "enum", "enum", "enum", "str"), "default": "a"}
    if found["mode"]["type"] == "enum":
        found["mode"]["values"] = words
    found["all"] = {"type": "bool", "default": c("all", True, True, False)}
    found["items"] = {"type": "list<str>", "default": c("items", ["u", "v"], ["u", "v"], ["u"])}
    found["span"] = {"type": "duration", "default": c("span", "10s", "10s", "10000ms", "20s")}
    if c("extra", False, True):
        found["extra"] = {"type": "bool", "default": c("extra default", True, False)}
    return found


def _when(name: str, c: Choices, options: dict[str, Any]) -> dict[str, Any]:
    """A condition."""
    mode = c(f"{name} when", *[None] * 5, "mode", "mode", "all", "extra", "extra")
    if mode is None or mode not in options:
        return {}
    if mode == "mode":
        words = c(f"{name} words", ["a"], ["a", "b"], ["b"], ["c"], ["a", "b", "c"])
        return {"mode": [word for word in words if word in options["mode"].get("values", "abc")] or ["a"]}
    return {mode: c(f"{name} flag", True, True, False)}


def source(name: str, made_of: Sequence[int]) -> dict[str, Any]:
    """A source."""
    c = Choices(made_of)
    document = _whole(name, "source", c)
    metrics = []
    for place in range(c("metrics", 1, 2, 3)):
        n = f"metric {place}"
        metric: dict[str, Any] = {
            "name": c(
                f"{n} name", f"{name}.m{place}", f"{name}.m{place}", f"{name}.m{place}", f"{name}.m0", f"{name}.x"
            ),
            "type": c(f"{n} type", "f64", "f64", "f64", "u64"),
            "unit": c(f"{n} unit", "J", "J", "J", "W"),
            "kind": c(f"{n} kind", "delta", "delta", "gauge", "counter"),
            "resource": c(f"{n} resource", ["machine"], ["machine"], ["machine", "gpu"], ["gpu"], ["cpu_core"]),
            "quality": c(f"{n} quality", "measured", "measured", "estimated"),
            "when": _when(n, c, document["config"]),
            "attributes": {},
        }
        domain = c(f"{n} p", None, None, ["u", "v"], ["u", "v", "w"], ["u"], "str", "${config.items}")
        if domain:
            metric["attributes"]["p"] = domain
        if isinstance(domain, list) and {"u", "v"} <= set(domain) and c(f"{n} parts", False, False, True):
            metric["parts"] = {"p": {"u": "v"}}
        if c(f"{n} q", False, False, True):
            metric["attributes"]["q"] = ["1"]
        additive = c(f"{n} additive", None, None, None, True, False)
        if additive is not None:
            metric["additive"] = additive
        consumer = c(f"{n} consumer", None, None, ["machine"], ["process"], ["machine", "process"])
        if consumer:
            metric["consumer"] = consumer
        interval = c(f"{n} interval", *[None] * 5, "${config.interval}", "1s")
        if interval:
            metric["interval"] = interval
        if c(f"{n} host", *[False] * 5, True):
            metric["host"] = {"readable": c(f"{n} paths", ["/proc/stat"], ["/proc/denied"])}
        metrics.append(metric)
    document["provides"]["metrics"] = metrics
    deadline = c("deadline", *[None] * 4, "100ms", "500ms")
    if deadline:
        document["deadline"] = deadline
    return document


def filter_(name: str, made_of: Sequence[int]) -> dict[str, Any]:
    """A filter."""
    c = Choices(made_of)
    document = _whole(name, c("placement", "filter", "filter", "filter", "prefilter"), c)
    document["config"]["metrics"] = {
        "type": "list<metric>",
        "default": c("metrics", ["*"], ["*"], ["s0.*"], ["*{kind=delta}"]),
    }
    rules = []
    for place in range(c("rules", 1, 1, 2)):
        n = f"rule {place}"
        rule = _rule(n, c, document["config"])
        rule["keeps"] = c(f"{n} keeps", True, True, True, False, "${config.all}")
        if c(f"{n} gives", True, True, True, False):
            gives: dict[str, Any] = {
                "name": c(
                    f"{n} name", "${metric}.x", "${metric}.x", "${metric}.y", "made.m", "${metric}.${config.mode}"
                )
            }
            more: list[tuple[str, Any]] = [
                ("type", c(f"{n} given type", None, None, "f64")),
                ("unit", c(f"{n} given unit", None, None, "${unit}/s", "1")),
                ("kind", c(f"{n} given kind", None, None, "gauge", "delta")),
                ("additive", c(f"{n} given additive", None, None, True, False)),
                ("quality", c(f"{n} given quality", None, None, "derived")),
                ("interval", c(f"{n} given interval", None, None, "${config.span}", "10s")),
                ("attributes", c(f"{n} given attributes", None, None, None, {"r": "1"}, {"r": "2"})),
            ]
            gives |= {key: value for key, value in more if value is not None}
            dropped = c(f"{n} dropped", *[None] * 4, ["p"], ["p", "q"], ["resource"], "${config.items}")
            if dropped:
                gives |= {"drop": dropped, "merge": c(f"{n} merge", "max", "sum", "max")}
            rule["gives"] = gives
        rules.append(rule)
    document["needs"]["metrics"] = rules
    return document


def _rule(n: str, c: Choices, options: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "metric": c(f"{n} metric", "*", "*", "${config.metrics}", "${config.metrics}", "s0.*", "s0.m0", "s0.m1"),
        "when": _when(n, c, options),
        "type": c(f"{n} type", [], [], ["f64"], ["f64", "u64"]),
        "kind": c(f"{n} kind", [], [], ["delta"], ["delta", "gauge"], ["gauge", "counter", "delta"]),
        "resource": c(f"{n} resource", [], [], [], ["machine"], ["machine", "gpu"]),
        "unit": c(f"{n} unit", "", "", "", "", "J", "kJ"),
        "attributes": c(f"{n} attributes", [], [], [], [], ["p"]),
        "require": c(
            f"{n} require",
            [],
            [],
            ["config.span >= 2 * interval"],
            ["2 * interval <= config.span"],
            ["config.span > interval"],
        ),
    }
    additive = c(f"{n} additive", None, None, None, None, True, False)
    if additive is not None:
        rule["additive"] = additive
    return rule


def output(name: str, made_of: Sequence[int]) -> dict[str, Any]:
    """An output."""
    c = Choices(made_of)
    document = _whole(name, "output", c)
    document["durability"] = c("durability", "process", "process", "volatile", "power")
    document["names"] = c("names", "plain", "plain", "plain", "prometheus")
    document["config"]["metrics"] = {"type": "list<metric>", "default": ["*"]}
    rules = []
    for place in range(c("rules", 1, 1, 2)):
        n = f"rule {place}"
        rule = _rule(n, c, document["config"])
        rule["drop"] = c(f"{n} drop", [], [], [], ["q"])
        rules.append(rule)
    document["needs"]["metrics"] = rules
    return document


MAKERS: dict[str, Callable[[str, Sequence[int]], dict[str, Any]]] = {
    "s0": source,
    "s1": source,
    "f0": filter_,
    "f1": filter_,
    "sink": output,
}


HELPER = text(
    {
        "name": "helper",
        "version": "1.0.0",
        "placement": "source",
        "provides": {
            "capabilities": {"cap.one": "1.1", "cap.two": "1.1"},
            "metrics": [{"name": "helper.m", "type": "f64", "unit": "J", "kind": "delta", "resource": ["machine"]}],
        },
    }
)
"""A source in every scene, which has what the others need."""


class Scene(NamedTuple):
    """The numbers of each plugin, and what the request says besides the plugins."""

    made_of: dict[str, list[int]]
    more: str

    def texts(self) -> dict[str, str]:
        """The contract of each plugin."""
        return {name: text(MAKERS[name](name, made_of)) for name, made_of in self.made_of.items()} | {"helper": HELPER}

    def named_elsewhere(self, plugin: str) -> set[str]:
        """The names of capabilities by which the contracts of others order, or which they exclude."""
        documents = [MAKERS[name](name, made_of) for name, made_of in self.made_of.items() if name != plugin]
        clauses = [[*d["ordering"]["before"], *d["ordering"]["after"], *d.get("conflicts", ())] for d in documents]
        return {word for words in clauses for word in words}


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A chain with configuration for some of its plugins."""
    names = ["s0", "sink", *draw(st.lists(st.sampled_from(["s1", "f0", "f1"]), unique=True))]
    given = {
        "depth": st.sampled_from(("1", "2", "2", "4")),
        "mode": st.sampled_from(('"a"', '"b"')),
        "all": st.sampled_from(("true", "false")),
        "items": st.just('["u"]'),
    }
    lines = []
    for name in names:
        said = [f"{option} = {draw(values)}" for option, values in given.items() if draw(st.integers(0, 2)) == 2]
        lines.append(f"config.{name} = {{ {', '.join(said)} }}")
    if draw(st.booleans()):
        lines.append('durability = "process"')
    return Scene({name: draw(numbers()) for name in names}, "\n".join(lines) + "\n")
