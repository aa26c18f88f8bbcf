"""Requests: what the user wants mounted, from `meter.toml` or from the words of a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, field, frozen

from meter.contracts import keynames, options, references
from meter.contracts import words as words_
from meter.contracts.diagnostics import MANY, Diagnostic, cut_short, nearest
from meter.contracts.digests import canonical_bytes, digest
from meter.contracts.editing.edits import Edit, clear, dotted, instead, likely, renamed
from meter.contracts.editing.writing import toml
from meter.contracts.language import language
from meter.contracts.model import Option, Source
from meter.contracts.selectors import METRIC
from meter.contracts.spans import COMMAND_LINE, Span, Words

At = tuple[str | int, ...]


@frozen(kw_only=True)
class Asked:
    """One instance asked for: `cpu#fast` is plugin or capability `cpu`, label `fast`."""

    text: str
    name: str
    label: str
    span: Span = field(eq=False)


@frozen(kw_only=True)
class Given:
    """The value of an option: a TOML value, or the texts of `option=value` words; `keys`, wherever its name stands."""

    raw: Any
    words: bool = False
    keys: tuple[Span, ...] = field(eq=False)
    locate: Callable[[At], Span] = field(eq=False, repr=False)

    def value(self, option: Option) -> Any:
        """The canonical value for an option.

        Raises: options.OptionError, it is none.
        """
        return options.canonical(option, options.from_words(option, list(self.raw)) if self.words else self.raw)

    def shown(self, option: Option) -> str:
        """The value in a message; of a secret only what kind of value it is."""
        raw = list(self.raw) if self.words else self.raw
        one = raw[0] if self.words and len(raw) == 1 else raw
        return (options.kind_of if references.is_secret(option.type) else options.describe)(one)


NOWHERE: Final[Mapping[str, tuple[Span, ...]]] = MappingProxyType({})


@frozen(kw_only=True)
class Request:
    """What is wanted at one mountpoint."""

    mountpoint: str
    plugins: tuple[Asked, ...]
    config: Mapping[str, Mapping[str, Given]]
    labels: Mapping[str, tuple[Span, ...]] = field(eq=False, factory=dict)
    """Everywhere that the label of a table of `config` is written."""
    prefer: tuple[str, ...] = ()
    durability: str | None = None
    order: tuple[tuple[str, ...], ...] = ()
    optional: tuple[Asked, ...] = ()
    want: tuple[str, ...] = ()
    recommends: bool = True
    unread: frozenset[At] = field(eq=False, default=frozenset())
    """What it says and cannot be told: words, `config` with a label, words with a text of theirs that is no name."""
    span: Span = field(eq=False)
    source: Source | None = field(eq=False, repr=False, default=None)
    """The mount file; None for a command line."""
    options: Mapping[str, tuple[Span, ...]] = field(eq=False, repr=False, default=NOWHERE)
    """Where options of a command line stand, by the word of a request that they give."""

    @property
    def document(self) -> Source | None:
        """The mount file, where there is one that can be changed: not for a command line, nor for a script."""
        return self.source if self.source is not None and self.source.text else None

    @property
    def path(self) -> At:
        """Where its table is in the mount file."""
        return ("mounts", self.mountpoint)

    def place(self, *path: str | int) -> Span:
        """Where a value of its table stands; of a command line the option, or the mountpoint where there is none."""
        if self.source is not None:
            return self.source.value(*self.path, *path)
        spans = self.options.get(str(path[0]), ())
        index = path[1] if len(path) > 1 and isinstance(path[1], int) else 0
        return spans[index] if index < len(spans) else self.span

    def asked_at(self, label: str) -> Span:
        """Where an instance was asked for; the request, where it was pulled in."""
        return next((each.span for each in self.plugins if each.label == label), self.span)

    def given_at(self, label: str, option: str) -> Span:
        """Where an option was given, else where its instance was asked for."""
        given = self.config.get(label, {}).get(option)
        return self.asked_at(label) if given is None else given.locate(())

    def digest(self) -> str:
        """The same for equal requests, wherever they were written."""
        config = {
            label: {name: ["words", *given.raw] if given.words else given.raw for name, given in table.items()}
            for label, table in self.config.items()
            if table
        }
        material = [
            self.mountpoint, [asked.text for asked in self.plugins], config, self.prefer, self.durability, self.order,
            [asked.text for asked in self.optional], self.want, self.recommends,
        ]  # fmt: skip
        return digest(canonical_bytes(material))


def _fault(code: str, span: Span, variant: str = "", **facts: str) -> Diagnostic:
    return Diagnostic(code=code, facts=facts, spans=(span,), clause=facts.get("clause", ""), variant=variant)


_NOWHERE: Final = Span("", 1, 1)


def check_mountpoint(mountpoint: str, span: Span) -> Diagnostic | None:
    """E-MOUNT-NAME where a name is no mountpoint, or not in its one spelling."""
    try:
        canonical = keynames.canonical(mountpoint)
    except keynames.KeyNameError:
        canonical = ""
    if not canonical or not mountpoint.isprintable() or " " in mountpoint:
        return _fault("E-MOUNT-NAME", span, mountpoint=mountpoint)
    if mountpoint != canonical:
        return _fault("E-MOUNT-NAME", span, "spelling", mountpoint=mountpoint, canonical=canonical)
    return None


def _asked(text: str, span: Span) -> Asked | Diagnostic:
    """An instance that a mount file names."""
    named = words_.split_name(text, numbers=True)
    if named is None:
        return _fault("E-NAME", span, name=text)
    return Asked(text=text, name=named[0], label=named[1], span=span)


@frozen(kw_only=True)
class Told:
    """What words ask for: instances, the options of each by its label, and which words are none."""

    plugins: tuple[Asked, ...]
    config: Mapping[str, Mapping[str, Given]]
    diagnostics: tuple[Diagnostic, ...]


def read_words(words: Sequence[str], place: words_.Place) -> Told:
    """What words as `PLUGIN[#LABEL] [OPTION=VALUE]…` ask for; an option belongs to the plugin before it.

    Args: `place` is where a word stands, by its index, or its characters from a start to a stop.
    """
    spoken, found = words_.parse(words, place)
    plugins = tuple(Asked(text=each.text, name=each.name, label=each.label, span=each.span) for each in spoken)
    config: dict[str, Mapping[str, Given]] = {}
    for each in spoken:
        table = {
            name: Given(
                raw=tuple(word.value for word in values),
                words=True,
                keys=tuple(word.name_span for word in values),
                locate=_word_place(values),
            )
            for name, values in each.options.items()
        }
        config.setdefault(each.label, table)
    return Told(plugins=plugins, config=config, diagnostics=tuple(found))


Asks = Mapping[str, Sequence[int]]
"""Words of a request that options of a command line give: where their values stand among its words."""
NONE: Final[Asks] = MappingProxyType({})


def from_words(
    mountpoint: str, words: Sequence[str], before: Sequence[str], asks: Asks = NONE
) -> tuple[Request | None, list[Diagnostic]]:
    """The request of `meter mount MOUNTPOINT PLUGIN[#label] [key=value]…`.

    Args: `mountpoint` as typed; `before` are the words of the command line that come first, `meter mount /host`; spans
        count them. `asks` are those among them that stand for other words of a request; those of `optional` are
        plugins and options, too, and those of `order` are separated by commas.
    """
    request, diagnostics = _of_words(mountpoint, words, before, asks)
    if any(diagnostic.level == "error" for diagnostic in diagnostics):
        return None, list(cut_short(diagnostics, COMMAND_LINE))
    return request, diagnostics


def rest_of_words(mountpoint: str, words: Sequence[str], before: Sequence[str], asks: Asks = NONE) -> Request:
    """What can be told of words with which something is wrong: to say what else is, never to be mounted."""
    return _of_words(mountpoint, words, before, asks)[0]


def _of_words(
    mountpoint: str, words: Sequence[str], before: Sequence[str], asks: Asks
) -> tuple[Request, list[Diagnostic]]:
    """The request of some words without what is wrong with them, and that."""
    mountpoint = keynames.tidy(mountpoint)
    line = Words([*before, *words])
    span = line.span(len(before) - 1)
    fault = check_mountpoint(mountpoint, span)
    values = {name: tuple(before[index] for index in asks.get(name, ())) for name in language().words["request"]}
    places = {name: tuple(map(line.span, asks.get(name, ()))) for name in values}

    def place(index: int, start: int = 0, stop: int | None = None) -> Span:
        return line.span(len(before) + index, start, None if stop is None else stop - start)

    def beside(index: int, start: int = 0, stop: int | None = None) -> Span:
        return line.span(asks["optional"][index], start, None if stop is None else stop - start)

    told, optional = read_words(words, place), read_words(values["optional"], beside)
    wants = zip(values["want"], places["want"], strict=True)
    diagnostics = [*([fault] if fault is not None else []), *told.diagnostics, *optional.diagnostics]
    diagnostics += [_wanted(text, at) for text, at in wants if not METRIC.fullmatch(text)]
    durability = next(iter(values["durability"]), None)
    if durability is not None:
        diagnostics += _promise(durability, places["durability"][0], mountpoint)
    unread = {("mountpoint",)} if fault is not None else set[At]()
    if any(diagnostic.level == "error" for diagnostic in (*told.diagnostics, *optional.diagnostics)):
        unread |= {("plugins",), ("config",)}
    if not all(METRIC.fullmatch(text) for text in values["want"]):
        unread.add(("want",))
    if durability is not None and durability not in language().values("durability"):
        unread.add(("durability",))
    labels = dict.fromkeys((*told.config, *optional.config))
    first: dict[str, Asked] = {}
    for asked in (*told.plugins, *optional.plugins):
        first.setdefault(asked.label, asked)
    request = Request(
        mountpoint=mountpoint,
        plugins=tuple(asked for asked in told.plugins if first[asked.label] is asked),
        optional=tuple(asked for asked in optional.plugins if first[asked.label] is asked or not unread),
        unread=frozenset(unread),
        config={label: {**told.config.get(label, {}), **optional.config.get(label, {})} for label in labels},
        want=tuple(text for text in values["want"] if METRIC.fullmatch(text)),
        prefer=values["prefer"],
        durability=None if ("durability",) in unread else durability,
        order=tuple(tuple(chain.split(",")) for chain in values["order"]),
        recommends=not values["recommends"],
        options=places,
        span=span,
    )
    return request, diagnostics


def _promise(durability: str, span: Span, mountpoint: str) -> list[Diagnostic]:
    """What is wrong with the durability that a request demands."""
    values = language().values("durability")
    if durability in values:
        return []
    facts = {"subject": f"`{mountpoint}`", "got": options.describe(durability), "values": ", ".join(values)}
    facts |= {"near": nearest(durability, values), "clause": "durability"}
    word = clear(durability, values)
    edit = renamed(span, durability, word) if word else None
    return [evolve(_fault("E-CLAUSE-TYPE", span, "enum", **facts), edit=edit)]


def _word_place(values: Sequence[words_.Value]) -> Callable[[At], Span]:
    def locate(at: At) -> Span:
        place = at[0] if at else 0
        if isinstance(place, str):
            named = (nth for nth, word in enumerate(values) if word.value.startswith(f"{place}="))
            place = next(named, 0)
        return values[place if place < len(values) else 0].value_span

    return locate


def from_document(document: Mapping[str, Any], source: Source) -> tuple[dict[str, Request], list[Diagnostic]]:
    """The requests of a parsed `meter.toml`, by mountpoint; broken ones are left out and said."""
    diagnostics: list[Diagnostic] = []
    requests: dict[str, Request] = {}
    for name in sorted(document):
        if name != "mounts" and not name.startswith("x-"):
            facts = {"subject": f"`{source.file}`", "near": nearest(name, ["mounts"])}
            fault = _fault("E-CLAUSE-UNKNOWN", source.key(name), **facts, clause=name)
            word = clear(name, ["mounts"]) if "mounts" not in document else ""
            diagnostics.append(evolve(fault, edit=_renamed(source, (name,), word)))
        if len(diagnostics) > MANY:
            return {}, list(cut_short(diagnostics, source.file))
    mounts = document.get("mounts", {})
    if not isinstance(mounts, dict):
        return {}, [*diagnostics, _type(source, ("mounts",), "mounts", mounts, "table", '[mounts."/host"]')]
    for mountpoint in sorted(mounts):
        request, found = _one(mountpoint, mounts[mountpoint], source)
        diagnostics += found
        if len(diagnostics) > MANY:
            return {}, list(cut_short(diagnostics, source.file))
        if request is not None:
            requests[mountpoint] = request
    return requests, diagnostics


def _labels(body: Mapping[str, Any]) -> dict[str, str]:
    """The label of each instance that a table of `mounts` names, by that and by what is written."""
    found = {}
    for word in ("plugins", "optional"):
        for _, text in _places(body.get(word)):
            if (named := words_.split_name(text, numbers=True)) is not None:
                found[text] = found[named[1]] = named[1]
    return found


def _misplaced(mountpoint: str, name: str, label: str, source: Source, *, alone: bool) -> Diagnostic:
    """Options of an instance that stand beside the clauses; they can be moved where there is no `config`."""
    path: At = ("mounts", mountpoint, name)
    place = dotted(("config", label))
    facts = {"subject": f"`{mountpoint}`", "place": dotted((*path[:2], "config", label))}
    fault = _fault("E-CLAUSE-UNKNOWN", source.key(*path), "options", **facts, clause=name)
    changes = tuple(instead(span, place) for span in source.mentions(*path))
    edit = Edit(kind="rename", changes=changes, facts={"old": name, "new": place})
    return evolve(fault, edit=edit if alone else None)


def _renamed(source: Source, path: At, new: str) -> Edit | None:
    """The edit that calls a key otherwise; none where there is no new name."""
    return renamed(source.mentions(*path), str(path[-1]), new) if new else None


def _type(
    source: Source, path: At, clause: str, got: Any, type_: str, example: str, variant: str = "example"
) -> Diagnostic:
    wanted = language().phrase("type", type_ if type_ in language().words["type"] else "str", "wanted")
    subject = path[1] if len(path) > 2 else source.file
    facts = {"subject": f"`{subject}`", "got": options.describe(got), "wanted": wanted, "example": example}
    item = type_[len("list<") : -1] if type_.startswith("list<") and isinstance(got, list) else ""
    wrong = [place for place, each in enumerate(got) if not _fits(item, each)] if item else []
    if wrong:
        return _type(source, (*path, wrong[0]), clause, got[wrong[0]], item, example, "entry")
    if type_ == "map<table>" and isinstance(got, dict):
        label = min(label for label, table in got.items() if not isinstance(table, dict))
        return _type(source, (*path, label), f"{clause}.{label}", got[label], "table", example)
    return _fault("E-CLAUSE-TYPE", source.value(*path), variant, **facts, clause=clause)


def _fits(type_: str, value: Any) -> bool:
    """Whether an item of a list is of its type."""
    return isinstance(value, str) if type_ not in _SHAPES else _SHAPES[type_](value)


def _one(mountpoint: str, body: Any, source: Source) -> tuple[Request | None, list[Diagnostic]]:
    found = _faults(mountpoint, body, source)
    return (None, found) if found else (_made(mountpoint, body, source), [])


def _faults(mountpoint: str, body: Any, source: Source) -> list[Diagnostic]:
    """What is wrong with one table of `mounts` by itself."""
    base: At = ("mounts", mountpoint)
    words = language().words["request"]
    found: list[Diagnostic] = []
    if fault := check_mountpoint(mountpoint, source.key(*base)):
        found.append(fault)
    if not isinstance(body, dict):
        return [*found, _type(source, base, mountpoint, body, "table", f'[mounts."{mountpoint}"]')]
    explained: set[str] = set()
    labels = _labels(body)
    for name in _strange(body):
        if name in labels and isinstance(body[name], dict):
            found.append(_misplaced(mountpoint, name, labels[name], source, alone="config" not in body))
            continue
        facts = {"subject": f"`{mountpoint}`", "near": nearest(name, words)}
        fault = _fault("E-CLAUSE-UNKNOWN", source.key(*base, name), **facts, clause=name)
        meant = likely(name, [word for word in words if word not in body])
        explained.update(meant)
        found.append(evolve(fault, edit=_renamed(source, (*base, name), meant[0] if len(meant) == 1 else "")))
    for name, says in words.items():
        if name not in body and name not in explained and says["obligatory"] == "yes":
            facts = {"subject": f"`{mountpoint}`", "description": says["description"]}
            found.append(_fault("E-CLAUSE-MISSING", source.key(*base), **facts, clause=name))
        elif name in body and not _SHAPES[says["type"]](body[name]):
            variant = "example" if says["obligatory"] == "yes" else "optional"
            example = _example(body) if name == "order" else ""
            found.append(
                _type(source, (*base, name), name, body[name], says["type"], example or says["example"], variant)
            )
    durability = body.get("durability")
    if isinstance(durability, str):
        found += _promise(durability, source.value(*base, "durability"), mountpoint)
    for word in ("plugins", "optional"):
        asked = (_asked(text, source.value(*base, word, place)) for place, text in _places(body.get(word)))
        found += [each for each in asked if isinstance(each, Diagnostic)]
    for place, text in _places(body.get("want")):
        if not METRIC.fullmatch(text):
            found.append(_wanted(text, source.value(*base, "want", place)))
    return found


def _example(body: Mapping[str, Any]) -> str:
    """How an order is written, with labels of the request; of plugins in the order of a chain one that could hold."""
    labels = [each[1] for _, text in _places(body.get("plugins")) if (each := words_.split_name(text)) is not None]
    pair = labels[1:3] if len(labels) > 3 else labels[:2]
    return f"order = {toml([pair])}" if len(pair) > 1 else ""


def _strange(body: Mapping[str, Any]) -> list[str]:
    """The words of a table that no request has."""
    return [name for name in sorted(body) if name not in language().words["request"] and not name.startswith("x-")]


def _places(value: Any) -> list[tuple[int, str]]:
    """The texts of a list with their places in it."""
    return [(at, each) for at, each in enumerate(value) if isinstance(each, str)] if isinstance(value, list) else []


def _made(mountpoint: str, body: Mapping[str, Any], source: Source) -> Request:
    """The request of one table, without what is wrong with it."""
    base: At = ("mounts", mountpoint)
    words = language().words["request"]
    sound = {name: body[name] for name, says in words.items() if name in body and _SHAPES[says["type"]](body[name])}
    asked = {
        word: [_asked(text, source.value(*base, word, place)) for place, text in _places(body.get(word))]
        for word in ("plugins", "optional")
    }
    plugins, optional = (tuple(each for each in found if isinstance(each, Asked)) for found in asked.values())
    tables = body.get("config", {})
    config = {
        label: {name: _given(raw, source, (*base, "config", label, name)) for name, raw in sorted(table.items())}
        for label, table in (sorted(tables.items()) if isinstance(tables, dict) else ())
        if isinstance(table, dict)
    }
    return Request(
        mountpoint=mountpoint,
        plugins=plugins,
        config=config,
        labels={label: source.mentions(*base, "config", label) for label in config},
        prefer=tuple(sound.get("prefer", ())),
        durability=sound["durability"] if sound.get("durability") in language().values("durability") else None,
        order=tuple(tuple(chain) for chain in sound.get("order", ())),
        optional=optional,
        want=tuple(name for name in sound.get("want", ()) if METRIC.fullmatch(name)),
        recommends=sound.get("recommends", True),
        unread=_unread(mountpoint, body),
        span=source.value(*base, "plugins"),
        source=source,
    )


def _unread(mountpoint: str, body: Mapping[str, Any]) -> frozenset[At]:
    """The words of a table that say something that cannot be told, as `Request.unread` has them."""
    words = language().words["request"]
    found: set[At] = set()
    if check_mountpoint(mountpoint, _NOWHERE) is not None:
        found.add(("mountpoint",))
    if isinstance(body.get("durability"), str) and body["durability"] not in language().values("durability"):
        found.add(("durability",))
    for name in _strange(body):
        absent = [word for word in words if word not in body]
        found |= {(word,) for word in likely(name, absent) or absent}
    for name, value in body.items():
        if name in words and not _SHAPES[words[name]["type"]](value):
            labels = [label for label in value if not isinstance(value[label], dict)] if isinstance(value, dict) else []
            found |= {(name, label) for label in labels} or {(name,)}
    for word in ("plugins", "optional"):
        texts = (text for _, text in _places(body.get(word)))
        found |= {(word, text) for text in texts if words_.split_name(text, numbers=True) is None}
    if not all(METRIC.fullmatch(text) for _, text in _places(body.get("want"))):
        found.add(("want",))
    return frozenset(found)


def remains(document: Mapping[str, Any], source: Source) -> dict[str, Request]:
    """What can be told of the mounts of a `meter.toml` with which something is wrong, by mountpoint.

    To say what else is wrong with them, never to be mounted. A mount of which no plugin can be told is left out.
    """
    mounts = document.get("mounts", {})
    bodies = {name: mounts[name] for name in sorted(mounts)} if isinstance(mounts, dict) else {}
    return {
        name: _made(name, body, source)
        for name, body in bodies.items()
        if isinstance(body, dict) and isinstance(body.get("plugins"), list) and _faults(name, body, source)
    }


def _wanted(text: str, span: Span) -> Diagnostic:
    """E-NAME: what is wanted is no name of a metric."""
    return _fault("E-NAME", span, "metric", name=text)


def _given(raw: Any, source: Source, path: At) -> Given:
    return Given(raw=raw, keys=source.mentions(*path), locate=lambda at: source.value(*path, *at))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _tables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(table, dict) for table in value.values())


def _chains(value: Any) -> bool:
    return isinstance(value, list) and all(_texts(chain) for chain in value)


_SHAPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "list<str>": _texts,
    "map<table>": _tables,
    "list<list<str>>": _chains,
    "list<metric>": _texts,
    "bool": lambda value: isinstance(value, bool),
    "enum": lambda value: isinstance(value, str),
}
