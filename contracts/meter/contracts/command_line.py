"""The request of a command line: what its words ask for, and what options beside them say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import frozen

from meter.contracts import keynames
from meter.contracts import words as words_
from meter.contracts.diagnostics import Diagnostic, cut_short
from meter.contracts.language import language
from meter.contracts.request import Asked, At, Given, Request, check_durability, check_mountpoint, no_metric
from meter.contracts.selectors import METRIC
from meter.contracts.spans import COMMAND_LINE, Span, Words


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
    diagnostics += [no_metric(text, at) for text, at in wants if not METRIC.fullmatch(text)]
    durability = next(iter(values["durability"]), None)
    if durability is not None:
        diagnostics += check_durability(durability, places["durability"][0], mountpoint)
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


def _word_place(values: Sequence[words_.Value]) -> Callable[[At], Span]:
    def locate(at: At) -> Span:
        place = at[0] if at else 0
        if isinstance(place, str):
            named = (nth for nth, word in enumerate(values) if word.value.startswith(f"{place}="))
            place = next(named, 0)
        return values[place if place < len(values) else 0].value_span

    return locate
