"""Requests: what the user wants mounted, wherever that was said.

`command_line` makes them of words, `mount_tables` of the tables of a mount file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, field, frozen

from meter.contracts import keynames, options, references
from meter.contracts.diagnostics import Diagnostic, diagnostic, nearest
from meter.contracts.digests import canonical_bytes, digest
from meter.contracts.editing.edits import clear, renamed
from meter.contracts.language import language
from meter.contracts.model import Option, Source
from meter.contracts.spans import Span

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


def check_mountpoint(mountpoint: str, span: Span) -> Diagnostic | None:
    """E-MOUNT-NAME where a name is no mountpoint, or not in its one spelling."""
    try:
        canonical = keynames.canonical(mountpoint)
    except keynames.KeyNameError:
        canonical = ""
    if not canonical or not mountpoint.isprintable() or " " in mountpoint:
        return diagnostic("E-MOUNT-NAME", span, mountpoint=mountpoint)
    if mountpoint != canonical:
        return diagnostic("E-MOUNT-NAME", span, "spelling", mountpoint=mountpoint, canonical=canonical)
    return None


def check_durability(durability: str, span: Span, mountpoint: str) -> list[Diagnostic]:
    """What is wrong with the durability that a request demands."""
    values = language().values("durability")
    if durability in values:
        return []
    facts = {"subject": f"`{mountpoint}`", "got": options.describe(durability), "values": ", ".join(values)}
    facts |= {"near": nearest(durability, values), "clause": "durability"}
    word = clear(durability, values)
    edit = renamed(span, durability, word) if word else None
    return [evolve(diagnostic("E-CLAUSE-TYPE", span, "enum", **facts), edit=edit)]


def no_metric(text: str, span: Span) -> Diagnostic:
    """E-NAME: what is wanted is no name of a metric."""
    return diagnostic("E-NAME", span, "metric", name=text)
