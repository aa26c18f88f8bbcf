"""Hypothesis strategies that the tests share: variants, selectors, rules, catalogues and requests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from meter.contracts.rules import Gives, Rule
from meter.contracts.selectors import parse
from meter.contracts.variants import Variant

steady = settings(derandomize=True, database=None, deadline=None, max_examples=150)
"""The same examples in every run."""

METRICS = ("a.x", "a.y", "b.x")
KINDS = ("gauge", "delta", "counter")
RESOURCES = ("machine", "cpu_core", "gpu")
CONSUMERS = ("machine", "process")
ATTRIBUTES = {"p": ("1", "2", "3"), "q": ("u", "v")}
UNITS = ("J", "kJ", "W", "1")


@cache
def sets(words: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    """Non-empty sets of words."""
    return st.sets(st.sampled_from(words), min_size=1).map(frozenset)


# Made once: hypothesis works out for each new strategy what it can give, which takes longer than to draw from it.
_NAMES = st.sets(st.sampled_from(sorted(ATTRIBUTES)))
_CLOSED = {name: sets(values) | st.nothing() for name, values in ATTRIBUTES.items()}
_OPEN = {name: sets(values) | st.none() for name, values in ATTRIBUTES.items()}


@st.composite
def variants(draw: st.DrawFn, *, open_: bool = True) -> Variant:
    """Any variant over the small vocabulary; with `open_` some attributes take any text."""
    names = sorted(draw(_NAMES))
    domains = [(_OPEN if open_ else _CLOSED)[name] for name in names]
    return Variant(
        metric=draw(st.sampled_from(METRICS)),
        type=draw(st.sampled_from(("f64", "u64"))),
        unit=draw(st.sampled_from(UNITS)),
        kind=draw(st.sampled_from(KINDS)),
        additive=draw(st.booleans()),
        resource=draw(sets(RESOURCES)),
        consumer=draw(sets(CONSUMERS)),
        attributes=tuple((name, draw(domain)) for name, domain in zip(names, domains, strict=True)),
        origin=draw(st.sampled_from(("s", "t"))),
    )


def series(variant: Variant) -> Iterator[Variant]:
    """Every series of a variant, as variants of one member; of an open attribute three values."""
    domains = [sorted(values) if values is not None else ["1", "u", "other"] for _, values in variant.attributes]
    for resource, consumer, *values in itertools.product(sorted(variant.resource), sorted(variant.consumer), *domains):
        yield variant._replace(
            resource=frozenset({resource}),
            consumer=frozenset({consumer}),
            attributes=tuple(
                (name, frozenset({value})) for (name, _), value in zip(variant.attributes, values, strict=True)
            ),
        )


CHOICES = {
    "kind": KINDS,
    "type": ("f64", "u64"),
    "unit": UNITS,
    "resource": RESOURCES,
    "consumer": CONSUMERS,
    "origin": ("s", "t"),
    **ATTRIBUTES,
}
"""What a condition of a selector can be about."""
_CONDITIONS = st.lists(st.sampled_from(sorted(CHOICES)), max_size=2)


@st.composite
def selectors(draw: st.DrawFn, *, excludes: bool = True) -> str:
    """The text of a selector."""
    glob = draw(st.sampled_from(("*", "a.*", "a.x", "b.x", "*.x", "?.y", "[ab].x", "c")))
    conditions = []
    for key in draw(_CONDITIONS):
        values = sorted(draw(sets(CHOICES[key])))
        conditions.append(f"{key}={'|'.join(values)}")
    bang = "!" if excludes and draw(st.integers(0, 3)) == 0 else ""
    return bang + glob + (f"{{{','.join(conditions)}}}" if conditions else "")


_GIVES = st.none() | st.builds(
    Gives,
    name=st.sampled_from(("${metric}.n", "${metric}", "new")),
    type=st.none() | st.just("f64"),
    unit=st.none() | st.sampled_from(("${unit}/s", "1")),
    kind=st.none() | st.sampled_from(KINDS),
    additive=st.none() | st.booleans(),
    quality=st.none() | st.just("derived"),
    interval=st.none() | st.just(10**9),
    drop=st.sets(st.sampled_from((*ATTRIBUTES, "resource", "consumer"))).map(lambda words: tuple(sorted(words))),
    merge=st.none() | st.sampled_from(("sum", "max")),
    attributes=st.sampled_from(((), (("r", "1"),))),
    resource=st.sampled_from(((), (), ("machine",))),
    consumer=st.sampled_from(((), (), ("machine",))),
)
_TEXTS = st.lists(selectors(), min_size=1, max_size=3)
_MAYBE = st.none() | st.booleans()


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """A resolved rule."""
    texts = draw(_TEXTS)
    return Rule(
        select=tuple(parse(text) for text in texts),
        type=draw(st.sampled_from(((), ("f64",)))),
        kind=draw(st.sampled_from(((), ("delta",)))),
        unit=draw(st.sampled_from(("", "J"))),
        resource=draw(st.sampled_from(((), ("machine", "gpu")))),
        consumer=draw(st.sampled_from(((), ("process",)))),
        attributes=draw(st.sampled_from(((), ("p",)))),
        additive=draw(_MAYBE),
        keeps=draw(st.booleans()),
        gives=draw(_GIVES),
    )


class Scene(NamedTuple):
    """Contract texts, the words of `plugins`, and more lines of the request."""

    contracts: tuple[str, ...]
    plugins: tuple[str, ...]
    more: str = ""


STATED = "summary = 's'\nauthor = 'a'\nlicence = 'BSD-3-Clause'\n"
"""The clauses whose absence is W-CLAUSE-MISSING, which a check does not repeat."""


def quoted(words: list[str]) -> str:
    """A TOML array of texts."""
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


@st.composite
def sources(draw: st.DrawFn, name: str) -> str:
    """The text of a source that gives one to three metrics."""
    lines = [f'name = "{name}"', 'version = "1.0.0"', f'placement = "source"\n{STATED}']
    if draw(st.booleans()):
        lines.append('provides.capabilities = { "cap.one" = "1.0" }')
    if draw(st.integers(0, 9)) == 0:
        lines.append('needs.capabilities = { "cap.two" = "*" }')
    for place in range(draw(st.integers(1, 2))):
        shared = draw(st.integers(0, 9)) == 0
        attributes = draw(st.sampled_from(("", 'attributes = { p = ["1", "2"] }\n', 'attributes = { q = "str" }\n')))
        lines.append(
            f"[[provides.metrics]]\n{attributes}"
            f'name = "{"shared" if shared else name}.m{place}"\n'
            f'type = "{draw(st.sampled_from(("f64", "f64", "u64")))}"\n'
            f'unit = "{draw(st.sampled_from(("J", "J", "W", "W", "%", "{packet}", "Cel")))}"\n'
            f'kind = "{draw(st.sampled_from(KINDS))}"\n'
            f"resource = {quoted(sorted(draw(sets(RESOURCES))))}"
        )
    return "\n".join(lines) + "\n"


FORMS = (
    "gives = { name = '${metric}.delta', kind = 'delta' }",
    "gives = { name = '${metric}.rate', type = 'f64', unit = '${unit}/s', kind = 'gauge' }",
    "gives = { name = '${metric}.conv', unit = '1', type = 'f64' }",
    "gives = { name = '${metric}' }\nkeeps = false",
    "gives = { name = 'made.m0' }",
    "keeps = false",
    "",
)
SELECTORS = ("*", "*", "*{kind=counter}", "*{kind=delta}", "*.m0", "s0.m0", "s1.*", "shared.m0", "*.delta", "*{unit=J}")


FORMULAS = (
    *("s0.m0 * 2", "s0.m0 / 2 + s0.m0", "2 * (s0.m0 - s0.m0 / 3)", "s0.m0{resource=machine|gpu|cpu_core} / 3"),
    *("s0.m0 + s1.m0", "sum(s0.m0) / s1.m0", "s0.m0 * s0.m1 / s0.m0{p=1}", "1 - shared.m0 / sum(shared.m0)"),
    *("x.f0 / 2", "made.m0 * share(s0.m1)"),
)


@st.composite
def filters(draw: st.DrawFn, name: str) -> str:
    """The text of a filter with one or two rules, some of them with an option for the selectors."""
    placement = draw(st.sampled_from(("filter", "filter", "filter", "prefilter", "postfilter")))
    lines = [f'name = "{name}"', 'version = "1.0.0"', f'placement = "{placement}"\n{STATED}']
    if draw(st.booleans()):
        lines.append("config.metrics = { type = 'list<metric>', default = ['*'] }")
    if draw(st.booleans()):
        lines.append('provides.capabilities = { "cap.two" = "1.0" }')
    if draw(st.integers(0, 5)) == 0:
        lines.append('needs.capabilities = { "cap.one" = "*" }')
    if draw(st.integers(0, 2)) == 0:
        target = draw(st.sampled_from([word for word in ("f0", "f1", "f2", "cap.two") if word != name]))
        lines.append(f'ordering.{draw(st.sampled_from(("before", "after")))} = ["{target}"]')
    for _ in range(draw(st.sampled_from((1, 1, 2)))):
        option = "config.metrics" in "\n".join(lines) and draw(st.booleans())
        selector = "${config.metrics}" if option else draw(st.sampled_from(SELECTORS))
        must = draw(st.sampled_from((*[""] * 9, "kind = ['delta']\n", "unit = 'J'\n", "attributes = ['p']\n")))
        lines.append(f"[[needs.metrics]]\nmetric = '{selector}'\n{must}{draw(st.sampled_from(FORMS))}")
    if draw(st.integers(0, 2)) == 0:
        text = draw(st.sampled_from(FORMULAS))
        lines.append("[[needs.metrics]]\nmetric = '${config.formulas}'\ngives = { name = '${item}' }")
        lines.append(f"[config.formulas]\ntype = 'map<formula>'\ndefault = {{ 'x.{name}' = '{text}' }}")
    return "\n".join(lines) + "\n"


OUTPUT = f'name = "sink"\nversion = "1.0.0"\nplacement = "output"\n{STATED}'


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A catalogue of sources, filters and an output, and a request for some of them."""
    names = [f"s{place}" for place in range(draw(st.integers(1, 3)))]
    texts = [draw(sources(name)) for name in names]
    chosen = [f"f{place}" for place in range(draw(st.integers(0, 3)))]
    texts += [draw(filters(name)) for name in chosen]
    plugins = ["sink", *names, *chosen]
    plugins = plugins if draw(st.integers(0, 4)) else plugins[: draw(st.integers(1, len(plugins)))]
    lines = []
    if draw(st.integers(0, 4)) == 0 and len(chosen) > 1:
        lines.append(f"order = [{quoted(draw(st.permutations(chosen))[:2])}]")
    if draw(st.integers(0, 3)) == 0:
        asked = draw(st.lists(st.sampled_from(SELECTORS), min_size=1, max_size=2))
        lines.append(f"config.sink = {{ metrics = {quoted(asked)} }}")
    return Scene((*texts, OUTPUT), tuple(draw(st.permutations(plugins))), "\n".join(lines) + "\n")


CAPABILITIES = ("cap.a", "cap.b", "cap.c")
PLUGINS = ("p0", "p1", "p2", "p3", "p4", "p5")
WORLD_METRICS = ("m.a", "m.b", "m.c")
HOST_FILES = ("/x", "/y")


def rarely(draw: st.DrawFn, one_in: int) -> bool:
    """Whether something is there that most examples do without."""
    return draw(st.integers(1, one_in)) == one_in


_GIVEN = st.dictionaries(st.sampled_from(CAPABILITIES), st.sampled_from(("1.0", "2.0")), max_size=2)
_READABLE = st.sets(st.sampled_from(HOST_FILES)).map(frozenset)


@cache
def _some(words: tuple[str, ...], least: int, most: int) -> st.SearchStrategy[list[str]]:
    """Some of the words, each once."""
    return st.lists(st.sampled_from(words), min_size=least, max_size=most, unique=True)


@cache
def _ranges(words: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    """One or two of the words, each with a range of versions."""
    ranges = st.sampled_from(("*", "*", "*", "*", ">=1", "<2"))
    return st.dictionaries(st.sampled_from(words), ranges, min_size=1, max_size=2)


@st.composite
def reaching(draw: st.DrawFn, name: str, others: tuple[str, ...]) -> str:
    """The text of a plugin of which most clauses are about other plugins."""
    placement = draw(st.sampled_from(("source", "source", "filter", "prefilter")))
    status = draw(st.sampled_from(((), (), ("tested",), ("unittest",), ("orphan",), ("example",))))
    lines = [f"name = '{name}'\nversion = '{draw(st.integers(0, 2))}.0.0'\nplacement = '{placement}'\n{STATED}"]
    lines += [f"status = {quoted(list(status))}", "config.depth = { type = 'int', default = 1 }"]
    for clause, one_in in (("needs.capabilities", 4), ("recommends", 2), ("conflicts", 14)):
        if rarely(draw, one_in):
            table = draw(_ranges(others))
            lines += [f"{clause}.'{key}' = '{table[key]}'" for key in sorted(table)]
    given = draw(_GIVEN)
    lines += [f"provides.capabilities.'{key}' = '{given[key]}'" for key in sorted(given)]
    if rarely(draw, 5):
        words = draw(_some(others, 1, 2))
        lines.append(f"alias = {quoted([*words, *([f'depth={draw(st.integers(1, 2))}'] if rarely(draw, 2) else [])])}")
    if rarely(draw, 5):
        other, depth = draw(st.sampled_from(others)), draw(st.sampled_from((1, 1, 1, 2)))
        lines.append(f"config_for.'{other}' = {{ depth = {depth} }}")
    if rarely(draw, 6):
        lines.append(f"ordering.{draw(st.sampled_from(('before', 'after')))} = ['{draw(st.sampled_from(others))}']")
    if rarely(draw, 7):
        lines.append(f"[[needs.host]]\nreadable = ['{draw(st.sampled_from(HOST_FILES))}']")
    if placement == "source":
        metric = draw(st.sampled_from((*[f"{name}.v"] * 6, *WORLD_METRICS)))
        unit = "J" if rarely(draw, 14) else "1"
        lines.append(f"[[provides.metrics]]\nname = '{metric}'\ntype = 'f64'\nunit = '{unit}'\nkind = 'gauge'")
        lines.append(f"resource = ['machine']\nattributes = {{ p = ['{name}'] }}")
    elif rarely(draw, 3):
        forms = ("gives = { name = '${metric}.n' }", "gives = { name = '${metric}' }\nkeeps = false")
        selector = draw(st.sampled_from(("*", "m.*", "m.a")))
        lines.append(f"[[needs.metrics]]\nmetric = '{selector}'\n{draw(st.sampled_from(forms))}")
    return "\n".join(lines) + "\n"


SINK = f"name = 'sink'\nversion = '1.0.0'\nplacement = 'output'\n{STATED}"
BASE = (
    f"name = 'base'\nversion = '1.0.0'\nplacement = 'source'\n{STATED}provides.capabilities = {{ 'cap.a' = '1.0' }}\n"
    "config.depth = { type = 'int', default = 1 }\n"
    "provides.metrics = [{ name = 'm.a', type = 'f64', unit = '1', kind = 'gauge', resource = ['machine'],"
    " attributes = { p = ['base'] } }]\n"
)


class World(NamedTuple):
    """A scene on a host: the paths that can be read there."""

    scene: Scene
    readable: frozenset[str]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A catalogue of plugins that reach out to each other, a request for some of them, and a host."""
    plugins = PLUGINS[: draw(st.integers(2, len(PLUGINS)))]
    texts = [draw(reaching(name, (*CAPABILITIES, *(each for each in plugins if each != name)))) for name in plugins]
    asked = draw(_some(plugins, 1, 3))
    if rarely(draw, 4):
        asked.append(draw(st.sampled_from(CAPABILITIES)))
    words = (*plugins, *CAPABILITIES)
    rest = tuple(word for word in words if word not in asked)
    lines = []
    if rarely(draw, 3):
        lines.append(f"optional = {quoted(draw(_some(rest, 0, 2)))}")
    if rarely(draw, 3):
        lines.append(f"want = {quoted(draw(_some(WORLD_METRICS, 0, 2)))}")
    if rarely(draw, 3):
        lines.append(f"prefer = {quoted(draw(_some(plugins, 0, 2)))}")
    if rarely(draw, 5):
        lines.append(f"config.'{draw(st.sampled_from(words))}'.depth = {draw(st.integers(1, 2))}")
    scene = Scene((*texts, BASE, SINK), tuple(draw(st.permutations(["base", *asked, "sink"]))), "\n".join(lines) + "\n")
    return World(scene, draw(_READABLE))
