"""Broken inputs: sound contracts, mount files and made chains that are changed, and documents that are made up.

Changed byte by byte, word by word, table by table, or for a value that stands under the same name elsewhere. An input
depends on seed and number alone.
"""

from __future__ import annotations

import os
import re
import tomllib
from copy import deepcopy
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import scenes, toml
from meter.contracts.catalogue import Catalogue, Entry
from meter.contracts.language import language

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CONTRACT: Final = "contract.toml"
MOUNTS: Final = "meter.toml"


class Input(NamedTuple):
    """A text, whether it is a mount file, and how it was made; for a made chain the others of its contracts."""

    text: bytes
    is_mount: bool
    how: str
    others: scenes.Scene | None = None


# --------------------------------------------------------------------------------------------------------------- seeds

_MOUNTS: Final[dict[str, Mapping[str, Any]]] = {
    "accumulate": {"metrics": ["system.cpu.time"]},
    "aggregate": {"metrics": ["system.cpu.time"], "function": "sum", "window": "10s"},
    "annotate": {"attributes": {"site": "lab"}},
    "attribution": {
        "formulas": {"memory.share": "system.memory.usage{system.memory.state=used} / system.memory.limit"}
    },
    "baseline": {"metrics": ["*{unit=J}"], "power": "10 W"},
    "bridge": {"sum": ["process.cpu.time"]},
    "carbon": {"metrics": ["*{unit=J}"], "country": "FRA"},
    "convert": {"metrics": ["system.memory.usage"], "unit": "KiBy"},
    "csv": {"path": "/tmp/a.csv"},
    "difference": {"metrics": ["*{kind=counter}"]},
    "estimate": {"tdp": "65 W"},
    "integrate": {"metrics": ["hw.power"]},
    "jsonl": {"path": "/tmp/a.jsonl"},
    "perf": {"scope": "machine"},
    "process": {"pid": [1]},
    "rate": {"metrics": ["system.cpu.time"]},
    "select": {"drop": ["system.cpu.logical.count"]},
    "spool": {"path": "/tmp/kept", "for": ["csv"]},
    "workload": {"attributes": ["slurm.job.id"]},
}
"""Options with which a built-in plugin is mounted."""
_BEFORE: Final = {
    "baseline": ["rapl"],
    "bridge": ["process"],
    "carbon": ["rapl"],
    "difference": ["accumulate"],
    "integrate": ["hwmon"],
    "workload": ["cgroup"],
}
"""What gives a built-in plugin something to do, beside the sources of every mount."""


@cache
def builtin() -> Mapping[str, tuple[Entry, ...]]:
    """The built-in contracts, read once."""
    catalogue = Catalogue.of(_files())
    return {name: catalogue.entries[name] for name in catalogue.entries}


def _files() -> Iterator[tuple[str, str, bytes]]:
    from importlib.util import find_spec  # the folder of the plugins, of which none is loaded

    spec = find_spec("meter.plugins")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = next(iter(spec.submodule_search_locations))
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name, CONTRACT)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                yield name, path, file.read()


@cache
def contracts() -> Sequence[str]:
    """Texts of contracts: those that are built in, and one for each clause."""
    found = [data.decode() for _, _, data in _files()]
    for clause in language().clauses.values():
        document = tomllib.loads(clause.passes)
        whole = {"name": "probe", "version": "1.0.0", "placement": "source", **document}
        if whole["placement"] == "source" and "metrics" not in whole.get("provides", {}):
            metric = {"name": "a.b", "type": "f64", "unit": "J", "kind": "delta", "resource": ["machine"]}
            whole["provides"] = {**whole.get("provides", {}), "metrics": [metric]}
        found.append(toml.document(whole))
    return found


def mount_of(name: str, placement: str) -> dict[str, Any]:
    """What mounts a plugin beside enough others."""
    before = _BEFORE.get(name, [])
    plugins = ["cpu", "memory", *before, name, *(["select"] if placement == "filter" else []), "csv"]
    plugins = list(dict.fromkeys(plugins))
    return {"plugins": plugins, "config": {word: dict(_MOUNTS[word]) for word in plugins if word in _MOUNTS}}


@cache
def mounts() -> Sequence[str]:
    """Texts of mount files: one for each built-in plugin, and some that use every word of a request."""
    found = []
    for name, entries in builtin().items():
        contract = entries[0].contract
        assert contract is not None
        found.append(toml.document({"mounts": {"/host": mount_of(name, contract.placement)}}))
    every: dict[str, Any] = {
        "plugins": ["cpu", "memory#m", "rate", "accumulate#a", "select", "csv", "csv#two"],
        "optional": ["thermal"],
        "want": ["system.cpu.time"],
        "prefer": ["cpu", "load"],
        "durability": "process",
        "order": [["rate", "a"]],
        "recommends": True,
        "config": {
            "cpu": {"interval": "100ms"},
            "rate": {"metrics": ["*{kind=delta}", "!*{cpu.mode=idle|iowait}"]},
            "a": {"metrics": ["system.cpu.time{cpu.mode=user}"]},
            "select": {"drop": ["*.count"]},
            "csv": {"path": "/tmp/1.csv", "metrics": ["*{kind=gauge|counter}"]},
            "two": {"path": "/tmp/2.csv"},
        },
    }
    body = "".join(f"{toml.key(name)} = {toml.value(value)}\n" for name, value in every.items() if name != "config")
    tables = "".join(f'[mounts."/host".config.{name}]\n{toml.document(each)}' for name, each in every["config"].items())
    found += [f'[mounts."/host"]\n{body}{tables}', toml.document({"mounts": {"/host": every, "/b": every}})]
    return found


@cache
def words() -> Sequence[str]:
    """Words that mean something somewhere: of CONTRACT.ini, of the seeds, and some that mean trouble."""
    speaks = language()
    found = {part for path in speaks.clauses for part in path}
    found |= {word for family in speaks.words.values() for word in family}
    for text in (*contracts(), *mounts()):
        found |= set(_TOKEN.findall(text))
    return sorted(found) + list(_TROUBLE)


_TOKEN: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z0-9_.-]+|[\[\]{}=,]|\n|[^\S\n]+|.')
_TROUBLE: Final = (
    *("''", '""', '"\\u0000"', '"\\ud7ff"', '"${config.x}"', '"${config.interval}"', '"${metric}"', '"${unit}/s"'),
    *('"*"', '"!*"', '"*{kind=gauge}"', '"*{kind=}"', '"[a-"', '"[!]"', '"{packet}"', '"1/0"', '"m-99"', '"10^99"'),
    *("nan", "inf", "-inf", "0", "-0", "-1", "1e308", "9223372036854775807", "-9223372036854775808", "1_0", "0x7f"),
    *("0o7", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "true", "false", "[]", "{}", "[[]]", "[{}]", '"Cel/s"'),
    *(
        '"99999999999d"',
        '"0s"',
        '"1ns"',
        '"-1s"',
        '"1h1h"',
        '"/../x"',
        '"a#b"',
        '"#"',
        '"a=b"',
        '"\\u017f"',
        '"\\u00e9"',
    ),
    *('"a\\nb"', '"env:X"', '"file:/x"', '"config.interval <= 1s"', '"count(config.x) > 1"', '">=1,<2"', '">=1,,"'),
    *('"1.0.0-a.b+c"', '"x * y"', '"a.b / a.b"', '"5"', '"-99999999999999999999"'),
)
_BYTES: Final = (
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\x7f", b"\t", b"\\"),
    *(b'"""', b"'''", b"[[", b"]]", b"{", b"}", b"=", b".", b"#", b"\n", b"\xf0\x9f\x92\xa5", b"${", b"[" * 40),
    b"a." * 40,
)


# ----------------------------------------------------------------------------------------------------------- mutations


def _by_bytes(text: str, rng: Random, others: Sequence[str]) -> bytes:
    """Bytes changed, taken out, doubled, put in, or the text cut and continued by another."""
    data = bytearray(text.encode())
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        size = rng.choice((1, 1, 2, 8, 40))
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size] * rng.choice((1, 1, 2, 50))
            case 3 | 4:
                data[at:at] = rng.choice(_BYTES)
            case 5:
                other = rng.choice(others).encode()
                begin = rng.randrange(len(other))
                data[at:at] = other[begin : begin + 10 * size]
            case _:
                del data[at:]
                data += rng.choice(others).encode()[rng.randrange(200) :]
    return bytes(data)


def _by_words(text: str, rng: Random, others: Sequence[str]) -> bytes:
    """Words taken out, doubled, changed for others, or for each other."""
    del others
    tokens = _TOKEN.findall(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(tokens))
        match rng.randrange(6):
            case 0 | 1 | 2:
                tokens[at] = _like(tokens[at], rng)
            case 3:
                del tokens[at : at + rng.choice((1, 1, 3))]
            case 4:
                tokens[at:at] = tokens[at : at + rng.choice((1, 5, 20))]
            case _:
                other = rng.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
        tokens = tokens or ["\n"]
    return "".join(tokens).encode(errors="replace")


def _like(token: str, rng: Random) -> str:
    """Another word in the form of one: in quotes where that one has them, as a rule."""
    word = rng.choice(words())
    if token[:1] in ("'", '"') and word[:1] not in ("'", '"') and rng.randrange(4):
        return '"' + word.replace("\\", "").replace('"', "").replace("\n", " ") + '"'
    return word


def _by_tables(text: str, rng: Random, others: Sequence[str]) -> bytes:
    """Values, keys and tables of the document taken out, renamed, changed, or moved."""
    document = tomllib.loads(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        document = document or {"name": "x"}
        places = list(_places(document))
        holder, name = rng.choice(places)
        match rng.randrange(7):
            case 0:
                del holder[name]
            case 1 | 2:
                holder[name] = _value(rng, 3)
            case 3 if isinstance(holder, dict):
                holder[rng.choice(words()).strip("\"'\n ") or "x"] = holder.pop(name)
            case 4 if isinstance(holder, dict):
                holder[rng.choice(words()).strip("\"'\n ") or "x"] = _value(rng, 3)
            case 5 if isinstance(holder, list):
                holder += [holder[name]] * rng.choice((1, 3))
            case _:
                source = tomllib.loads(rng.choice(others))
                taken = list(_places(source))
                other, key = rng.choice(taken)
                holder[name] = other[key]
    return toml.document(document).encode(errors="replace")


def _by_likes(text: str, rng: Random, others: Sequence[str]) -> bytes:
    """Values changed for others that stand under the same name somewhere."""
    del others
    document = tomllib.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = [(holder, name) for holder, name in _places(document) if isinstance(name, str) and name in _likes()]
        if places:
            holder, name = rng.choice(places)
            holder[name] = deepcopy(rng.choice(_likes()[name]))
    return toml.document(document).encode(errors="replace")


@cache
def _likes() -> Mapping[str, Sequence[Any]]:
    """For each name the values that it has in the seeds and in some made chains."""
    found: dict[str, list[Any]] = {}
    documents = [tomllib.loads(text) for text in (*contracts(), *mounts())]
    for number in range(200):
        scene = scenes.scene(Random(number))
        documents += [*scene.contracts, scene.request]
    for document in documents:
        for holder, name in _places(document):
            if isinstance(name, str) and holder[name] not in found.setdefault(name, []):
                found[name].append(holder[name])
    return found


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys or places."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in pairs:
        yield value, name
        yield from _places(entry)


def _value(rng: Random, depth: int) -> Any:
    """Any value, as deep as that."""
    form = rng.randrange(9 if depth else 7)
    if form < 4:
        word = rng.choice(words())
        return word[1:-1] if word[:1] in ("'", '"') and len(word) > 1 else word
    if form == 4:
        return rng.choice((0, 1, -1, 2**63 - 1, 2**63, 10**30, 7))
    if form == 5:
        return rng.choice((0.0, -0.5, 1e308, float("inf"), float("nan")))
    if form == 6:
        return rng.choice((True, False))
    if form == 7:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(words()).strip("\"'\n ") or "x": _value(rng, depth - 1) for _ in range(rng.randrange(4))}


def _along_clauses(rng: Random, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """A table made up along the clauses: most of what it has is known, and a part of that of its type."""
    found: dict[str, Any] = {}
    for clause in language().children(path):
        if clause.obligatory != "yes" and rng.randrange(4):
            continue
        name = clause.path[-1]
        if clause.type == "table":
            found[name] = _along_clauses(rng, clause.path)
        elif clause.type == "tables":
            found[name] = [_along_clauses(rng, clause.path) for _ in range(rng.randrange(1, 3))]
        elif clause.type == "map<table>":
            found[name] = {
                rng.choice(("a", "b", "interval")): _along_clauses(rng, (*clause.path, "*")) for _ in range(2)
            }
        elif clause.values and rng.randrange(8):
            word = rng.choice(clause.values)
            found[name] = [word] if clause.type.startswith("list") else word
        elif rng.randrange(5):
            found[name] = _of_example(clause.passes, clause.path)
        else:
            found[name] = _value(rng, 2)
    return {name: entry for name, entry in found.items() if entry is not None}


def _of_example(text: str, path: tuple[str, ...]) -> Any:
    """The value of a clause in its example; None where it is not that deep."""
    value: Any = tomllib.loads(text)
    for part in path:
        if isinstance(value, list):
            value = value[0] if value else None
        if not isinstance(value, dict):
            return None
        value = value.get(part) if part != "*" else next(iter(value.values()), None)
    return value


_MUTATIONS: Final[dict[str, Callable[[str, Random, Sequence[str]], bytes]]] = {
    "bytes": _by_bytes,
    "words": _by_words,
    "tables": _by_tables,
    "likes": _by_likes,
}


def made(number: int, seed: int) -> Input:
    """The input of a number."""
    rng = Random(f"{seed}:{number}")
    form = rng.randrange(20)
    if form == 0:
        return Input(toml.document(_along_clauses(rng)).encode(errors="replace"), False, "contract, made up")
    if form < 6:
        scene = scenes.scene(rng)
        is_mount = form < 3
        chosen = {"mounts": {"/host": scene.request}} if is_mount else scene.contracts[0]
        if not is_mount:
            place = rng.randrange(len(scene.contracts))
            chosen = scene.contracts[place]
            scene = scene._replace(contracts=(*scene.contracts[:place], *scene.contracts[place + 1 :]))
        name = rng.choice(("likes", "likes", "tables", "words"))
        text = _MUTATIONS[name](toml.document(chosen), rng, mounts() if is_mount else contracts())
        return Input(text, is_mount, f"{'request' if is_mount else 'contract'} of a made chain, by {name}", scene)
    is_mount = form >= 14
    seeds = mounts() if is_mount else contracts()
    sound = rng.choice(seeds)
    name = rng.choice(sorted(_MUTATIONS))
    return Input(
        _MUTATIONS[name](sound, rng, seeds), is_mount, f"{'mount file' if is_mount else 'contract'}, by {name}"
    )
