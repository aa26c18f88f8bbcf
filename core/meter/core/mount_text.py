"""The text of a mount file changed: a mount more or less, other values of options; all that others wrote stays."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

COMPLETED: Final = "completed by the plugin"
"""The comment behind a value that a plugin's own code has completed."""

Values = Mapping[str, Mapping[str, Any]]
"""For each instance values of options, as TOML has them."""


def over(body: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """The table of a mount file with other values of options."""
    config = {label: dict(table) for label, table in body.get("config", {}).items()}
    for label, table in values.items():
        config.setdefault(label, {}).update(table)
    return {**body, "config": config} if config else dict(body)


def with_mount(text: str, mountpoint: str, body: Mapping[str, Any], completed: Values) -> str:
    """The text of a mount file with one more mount behind what stands there; what was completed has a comment."""
    import tomlkit  # three bare interpreter starts; only a change needs it

    table = tomlkit.table()
    for word, value in body.items():
        if word != "config":
            table.add(word, value)
    if "config" in body:
        config = tomlkit.table(is_super_table=True)
        for label, given in body["config"].items():
            inner = tomlkit.table()
            for name, value in given.items():
                inner.add(name, value)
                if name in completed.get(label, {}):
                    inner[name].comment(COMPLETED)
            config.add(label, inner)
        table.add("config", config)
    whole = tomlkit.document()
    mounts = tomlkit.table(is_super_table=True)
    mounts.add(mountpoint, table)
    whole.add("mounts", mounts)
    newline = "\r\n" if "\r\n" in text else "\n"
    closed = "" if not text or text.endswith("\n") else newline
    blank = newline if text.strip() else ""
    behind = text + closed + blank + tomlkit.dumps(whole).replace("\n", newline)
    try:
        tomllib.loads(behind)
    except tomllib.TOMLDecodeError:  # `mounts` is an inline table, behind which nothing can be added to it
        inline: Any = tomlkit.parse(text)
        inline["mounts"][mountpoint] = _inline(table.unwrap())
        return tomlkit.dumps(inline)
    return behind


def with_options(text: str, mountpoint: str, values: Values) -> str:
    """The text of a mount file with other values of options of one mount, each with a comment that says whose."""
    import tomlkit  # as in with_mount

    body = over(tomllib.loads(text)["mounts"][mountpoint], values)
    wanted = tomllib.loads(text)
    wanted["mounts"][mountpoint] = body
    document: Any = tomlkit.parse(text)
    try:
        config = _below(document["mounts"][mountpoint], "config")
        for label, table in values.items():
            inner = _below(config, label)
            for name, value in table.items():
                inner[name] = value
                if isinstance(inner, tomlkit.items.Table):  # nothing can stand behind a value of a table in one line
                    inner[name].comment(COMPLETED)
        changed = tomlkit.dumps(document)
        if tomllib.loads(changed) == wanted:
            return changed
    except (tomlkit.exceptions.TOMLKitError, AttributeError, LookupError, TypeError, ValueError):
        pass  # tables out of order, which tomlkit does not put anything into
    return with_mount(without_mount(text, mountpoint), mountpoint, body, values)


def _below(table: Any, name: str) -> Any:
    """A table of tomlkit's in another one, made where it is missing; on one line where that is."""
    import tomlkit  # as in with_mount

    if name not in table:
        table[name] = tomlkit.inline_table() if isinstance(table, tomlkit.items.InlineTable) else tomlkit.table()
    return table[name]


def _inline(value: dict[str, Any]) -> Any:
    """A table on one line."""
    import tomlkit  # as in with_mount

    table = tomlkit.inline_table()
    for name, each in value.items():
        table.append(name, _inline(each) if isinstance(each, dict) else each)
    return table


def without_mount(text: str, mountpoint: str) -> str:
    """The text of a mount file without one mount; whatever else stands in it stays as it is."""
    wanted = tomllib.loads(text)
    del wanted["mounts"][mountpoint]
    cut = _cut(text, mountpoint)
    try:
        found = tomllib.loads(cut)
    except tomllib.TOMLDecodeError:
        found = {}
    if {"mounts": {}, **found} == wanted:
        return cut
    import tomlkit  # as in with_mount

    # Not written as tables with headers of their own: as `meter mount` never does it.
    document: Any = tomlkit.parse(text)
    del document["mounts"][mountpoint]
    return tomlkit.dumps(document)


def _cut(text: str, mountpoint: str) -> str:
    """A text without the lines from each header of a mount's tables to the next other header.

    Comments behind the first blank line after the last pair belong to what follows.
    """
    kept: list[str] = []
    tail: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        header = _header(line)
        if header is not None:
            mine = mountpoint in header.get("mounts", ())
            if inside and not mine:
                kept += _following(tail)
            inside, tail = mine, []
        if not inside:
            kept.append(line)
        elif not line.strip() or line.lstrip().startswith("#"):
            tail.append(line)
        else:
            tail = []
    if inside:
        following = _following(tail)
        while kept and not following and not kept[-1].strip():
            kept.pop()
        kept += following
    return "".join(kept)


def _following(tail: list[str]) -> list[str]:
    """Of blank lines and comments those that belong to what comes behind them."""
    blank = next((at for at, line in enumerate(tail) if not line.strip()), len(tail))
    rest = tail[blank + 1 :]
    return rest if any(line.strip() for line in rest) else []


def _header(line: str) -> dict[str, Any] | None:
    """The tables that a line names, should it be a header."""
    if not line.lstrip().startswith("["):
        return None
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
