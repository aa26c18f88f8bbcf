"""Trying: a request with an instance more or less, or with other options, and whether a check would take it.

For a help that offers more than a word or two. What is offered was checked whole before, so that whoever writes it is
not told of the next fault.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from attrs import evolve

from meter.contracts.request import Asked, Given, Request

LONG: Final = 600
"""So many characters of what is to be written are told; nobody reads more in the middle of a sentence."""
Sound = Callable[[Request], bool]
"""Whether a check says nothing against a request that it does not say against the one at hand, too."""


def never(request: Request) -> bool:
    """Nothing is sound for whoever does not try."""
    del request
    return False


def given(request: Request, options: Mapping[str, Any]) -> dict[str, Given]:
    """Values of TOML as a request has them."""
    span = request.span
    return {name: Given(raw=raw, keys=(span,), locate=lambda _: span) for name, raw in options.items()}


def raws(request: Request, label: str) -> dict[str, Any]:
    """The options that a request gives an instance, as values of TOML; of a command line texts, or lists of them."""

    def raw(value: Given) -> Any:
        words = list(value.raw) if value.words else []
        return value.raw if not value.words else words[0] if len(words) == 1 else words

    return {name: raw(value) for name, value in sorted(request.config.get(label, {}).items())}


def more(request: Request, asked: str, options: Mapping[str, Any]) -> Request:
    """A request with one more instance behind the others, with these options."""
    name, _, label = asked.partition("#")
    new = Asked(text=asked, name=name, label=label or name, span=request.span)
    return otherwise(evolve(request, plugins=(*request.plugins, new)), new.label, options)


def otherwise(request: Request, label: str, options: Mapping[str, Any]) -> Request:
    """A request in which an instance has these options instead of what is given."""
    table = {**request.config.get(label, {}), **given(request, options)}
    return evolve(request, config={**request.config, label: table})


def less(request: Request, labels: Collection[str]) -> Request:
    """A request without some instances, what it says of their order and their options."""
    chains = (tuple(label for label in chain if label not in labels) for chain in request.order)
    return evolve(
        request,
        plugins=tuple(asked for asked in request.plugins if asked.label not in labels),
        optional=tuple(asked for asked in request.optional if asked.label not in labels),
        config={label: table for label, table in request.config.items() if label not in labels},
        order=tuple(chain for chain in chains if len(chain) > 1),
    )
