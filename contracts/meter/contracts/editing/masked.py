"""Masked: the text of a mount file without the values of options that a change is not about.

A change is shown with its whole lines, and in one of them may stand what was meant for a secret: behind a misspelt
name, in a table whose label is misspelt, in a mount that is written in one line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from meter.contracts.editing.edits import Change, offsets
from meter.contracts.spans import Node, Range, scan

_MASK: Final = "\ue000"
"""Stands for each character, so that places stay what they are; for private use, and in no file that anybody writes."""
_MASKED: Final = re.compile(f"{_MASK}+")


def masked(text: str, changes: Sequence[Change], hidden: Collection[int]) -> str:
    """The text of a mount file with masks of the same length for values of options.

    The value of an option in which something is changed is left, unless it begins in a line that is `hidden`; so is
    always what is changed itself.
    """
    spots = offsets(text, changes)
    out = list(text)
    for option in _options(scan(text).root):
        leaves = list(_leaves(option))
        own = any(option.key[0] <= start <= max(end for _, end in leaves) for start, _ in spots) if leaves else False
        for start, end in leaves:
            shown = own and text.count("\n", 0, start) + 1 not in hidden
            if not shown and not any(first < end and start < last for first, last in spots):
                out[start:end] = [each if each == "\n" else _MASK for each in text[start:end]]
    return "".join(out)


def shown(line: str) -> str:
    """A line with masks as a person sees it."""
    return _MASKED.sub("…", line)


def _options(root: Node) -> Iterator[Node]:
    """The options of all instances of all mounts."""
    mounts = root.children.get("mounts")
    for mount in mounts.children.values() if mounts else ():
        tables = mount.children.get("config")
        for table in tables.children.values() if tables else ():
            yield from table.children.values() if table.children else [table]


def _leaves(node: Node) -> Iterator[Range]:
    """Where the values of a key stand, of a table or list those in it."""
    if node.value is not None and not node.children:
        yield node.value
    for child in node.children.values():
        yield from _leaves(child)
