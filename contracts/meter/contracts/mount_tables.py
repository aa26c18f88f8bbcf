"""The requests of a mount file: each table of `mounts` is one, or what is wrong with it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve

from meter.contracts import options
from meter.contracts import words as words_
from meter.contracts.diagnostics import MANY, Diagnostic, cut_short, diagnostic, nearest
from meter.contracts.editing.edits import Edit, clear, dotted, instead, likely, renamed
from meter.contracts.editing.writing import toml
from meter.contracts.language import language
from meter.contracts.model import Source
from meter.contracts.request import Asked, At, Given, Request, check_durability, check_mountpoint, no_metric
from meter.contracts.selectors import METRIC
from meter.contracts.spans import Span

_NOWHERE: Final = Span("", 1, 1)


def from_document(document: Mapping[str, Any], source: Source) -> tuple[dict[str, Request], list[Diagnostic]]:
    """The requests of a parsed `meter.toml`, by mountpoint; broken ones are left out and said."""
    diagnostics: list[Diagnostic] = []
    requests: dict[str, Request] = {}
    for name in sorted(document):
        if name != "mounts" and not name.startswith("x-"):
            facts = {"subject": f"`{source.file}`", "near": nearest(name, ["mounts"])}
            fault = diagnostic("E-CLAUSE-UNKNOWN", source.key(name), **facts, clause=name)
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
    fault = diagnostic("E-CLAUSE-UNKNOWN", source.key(*path), "options", **facts, clause=name)
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
    return diagnostic("E-CLAUSE-TYPE", source.value(*path), variant, **facts, clause=clause)


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
        fault = diagnostic("E-CLAUSE-UNKNOWN", source.key(*base, name), **facts, clause=name)
        meant = likely(name, [word for word in words if word not in body])
        explained.update(meant)
        found.append(evolve(fault, edit=_renamed(source, (*base, name), meant[0] if len(meant) == 1 else "")))
    for name, says in words.items():
        if name not in body and name not in explained and says["obligatory"] == "yes":
            facts = {"subject": f"`{mountpoint}`", "description": says["description"]}
            found.append(diagnostic("E-CLAUSE-MISSING", source.key(*base), **facts, clause=name))
        elif name in body and not _SHAPES[says["type"]](body[name]):
            variant = "example" if says["obligatory"] == "yes" else "optional"
            example = _example(body) if name == "order" else ""
            found.append(
                _type(source, (*base, name), name, body[name], says["type"], example or says["example"], variant)
            )
    durability = body.get("durability")
    if isinstance(durability, str):
        found += check_durability(durability, source.value(*base, "durability"), mountpoint)
    for word in ("plugins", "optional"):
        asked = (_asked(text, source.value(*base, word, place)) for place, text in _places(body.get(word)))
        found += [each for each in asked if isinstance(each, Diagnostic)]
    for place, text in _places(body.get("want")):
        if not METRIC.fullmatch(text):
            found.append(no_metric(text, source.value(*base, "want", place)))
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


def _asked(text: str, span: Span) -> Asked | Diagnostic:
    """An instance that a mount file names."""
    named = words_.split_name(text, numbers=True)
    if named is None:
        return diagnostic("E-NAME", span, name=text)
    return Asked(text=text, name=named[0], label=named[1], span=span)


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
