"""Mountpoints, key names and sets of keys."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from meter.contracts.diagnostics import ContractError
from meter.contracts.keynames import KeyNameError
from meter.contracts.spans import Words
from meter.core.keys import Key, KeySet, Metric
from meter.core.mounting import Mounting
from meter.core.names import Name, NameSet
from tests.vectors import plugins

KEYS_OF_A_MOUNT: Final = 5
"""How many keys a mount is in Elektra's database; cases count what is left in these."""


def run(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the product gives for the steps."""
    steps: list[list[str]] = case["steps"]
    if steps[0][0] in ("mp", "umount"):
        return mounts(steps)
    (step,) = steps
    try:
        return STEPS[step[0]](step[1:])
    except KeyNameError:
        return {"error": "E-KEY-NAME"}


def mounts(steps: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Mount and umount in a folder of its own, as the command line does."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plugins.write(folder, {name: {"contract": text} for name, text in plugins.ends().items()})
        file = Path(folder) / "meter.toml"
        mounts = Mounting(str(file), plugin_dirs=[folder])
        for word, mountpoint in steps:
            before = ["meter", word, mountpoint]
            try:
                if word == "mp":
                    ready = mounts.mount(mountpoint, [plugins.SOURCE, plugins.OUTPUT], before)
                    found["mountpoint"] = ready.plan["mountpoint"]
                else:
                    mounts.umount(mountpoint, Words(before).span(2))
                    found["umount"] = True
            except ContractError as error:
                (diagnostic,) = error.diagnostics
                if diagnostic.code == "E-MOUNT-UNKNOWN":
                    found["umount"] = False
                else:
                    found["error"] = diagnostic.code
        there = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        found["left"] = KEYS_OF_A_MOUNT * len(there.get("mounts", {}))
    return found


def order(names: Sequence[str]) -> dict[str, Any]:
    """A set in its order."""
    return {"keys": list(NameSet(map(Name, names)).names)}


def cut(names: Sequence[str]) -> dict[str, Any]:
    """What lies below the first name, and the rest."""
    inside, rest = NameSet(map(Name, names[1:])).cut(Name(names[0]))
    return {"result": list(inside.names), "rest": list(rest.names)}


def below(names: Sequence[str]) -> dict[str, Any]:
    """What lies below the first name; the set stays as it is."""
    whole = NameSet(map(Name, names[1:]))
    return {"result": list(whole.below(Name(names[0])).names), "rest": list(whole.names)}


def look_up(names: Sequence[str]) -> dict[str, Any]:
    """The member of the first name."""
    found = NameSet(map(Name, names[1:])).lookup(Name(names[0]))
    return {"found": "NONE" if found is None else found.name}


def put_twice(words: Sequence[str]) -> dict[str, Any]:
    """Keys of one name, one behind the other; the value is what a key carries beside its name."""
    name, *values = words
    carrying = [Metric(name, "f64", value, "gauge", additive=False) for value in values]
    keys = KeySet([Key.make(carrying[0])])
    for metric in carrying[1:]:
        keys |= KeySet([Key.make(metric)])
    return {"size": len(keys), "value": keys[0].metric.unit}


def increment(words: Sequence[str]) -> dict[str, Any]:
    """The next element of an array."""
    after = Name(words[0]).increment()
    return {"inc": "FAIL" if after is None else after.name}


def relation(words: Sequence[str]) -> dict[str, Any]:
    """How the first name lies to the second, in the words of the cases."""
    one, other = map(Name, words)
    relations = {
        "below": one.is_below(other),
        "directbelow": one.is_directly_below(other),
        "belowOrSame": one.is_below_or_same(other),
    }
    said = "".join(f"{word} " for word, holds in relations.items() if holds)
    return {"rel": said, "cmp": (one > other) - (one < other)}


STEPS: Final[Mapping[str, Callable[[Sequence[str]], dict[str, Any]]]] = {
    "key": lambda words: {"key": Name(words[0]).name},
    "parts": lambda words: {"parts": list(Name(words[0]).parts)},
    "addname": lambda words: {"key": Name(words[0]).add(words[1]).name},
    "addbase": lambda words: {"key": Name(words[0]).add_base(words[1]).name},
    "order": order,
    "cut": cut,
    "below": below,
    "klookup": look_up,
    "dupkey": put_twice,
    "inc": increment,
    "rel": relation,
}
