"""Secrets in a configuration: written as references, so that no file, plan or message ever holds what they stand for.

An option of type `secret` is `env:NAME` or `file:PATH`; a `url` may hold `${env.NAME}`. The plan keeps the reference;
what it stands for is put in when a plugin is made. Light: the engine needs it and starts without the contract language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from meter.contracts.placeholders import ENV

LARGEST: Final = 1 << 16
"""Bytes of the largest file that is taken for a secret."""

_REFERENCE: Final = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)|file:([^\0]+)")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST: Final = re.compile(r"\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@/?#\\]+")
_REFERS: Final = re.compile(r"(?:(?:list|map)<)?(secret|url)>?")


class Secret(str):
    """A text that does not show itself where somebody prints what holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


class Reference(NamedTuple):
    """Where a secret stands: a variable of the environment or a file."""

    variable: str = ""
    file: str = ""


class UrlError(ValueError):
    """A text is no URL: `why` is the empty text, or `password` where it holds one."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why: Final = why


def parse_secret(text: str) -> Reference | None:
    """The reference that a text is; None where it is none."""
    found = _REFERENCE.fullmatch(text)
    return None if found is None else Reference(found[1] or "", found[2] or "")


def check_url(text: str) -> None:
    """Whether a text is a URL with scheme and host, and a password only as `${env.NAME}`.

    Raises: UrlError.
    Source: RFC 3986, section 3.
    """
    scheme, colon, rest = text.partition("://")
    if not colon or not _SCHEME.fullmatch(scheme) or re.search(r"[\s\0-\x20\x7f\\]", text):
        raise UrlError
    authority = re.split(r"[/?#]", ENV.sub("x", rest), maxsplit=1)[0]
    user, at, place = authority.rpartition("@")
    if at and ":" in user:
        password = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[0].partition(":")[2]
        if password and not ENV.fullmatch(password):
            raise UrlError("password")
    found = _HOST.match(place)
    port = place[found.end() :] if found else ""
    if found is None or not re.fullmatch(r"(?::[0-9]{0,5})?", port) or int(port[1:] or 0) > 65535:
        raise UrlError


def is_secret(type_: str) -> bool:
    """Whether values of an option type may be secret, so that one that does not fit is not shown."""
    return _REFERS.fullmatch(type_) is not None


def references(type_: str, value: Any) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
    """What a value of an option refers to, with the place inside the value."""
    found = _REFERS.fullmatch(type_)
    if found is None:
        return
    for at, text in _texts(value):
        if found[1] == "url":
            yield from ((at, Reference(variable=name)) for name in ENV.findall(text))
        elif (reference := parse_secret(text)) is not None:
            yield at, reference


def filled(type_: str, value: Any, look: Callable[[Reference], str]) -> Any:
    """A value of an option with what it refers to put in; of other types the value itself.

    What comes into a URL is percent-encoded, so that a `@` of a password does not end it.
    """
    found = _REFERS.fullmatch(type_)
    if found is None:
        return value
    if isinstance(value, list):
        return [filled(found[1], each, look) for each in value]
    if isinstance(value, dict):
        return {name: filled(found[1], each, look) for name, each in value.items()}
    if found[1] == "url":
        from urllib.parse import quote  # only a URL with a placeholder needs it

        url = ENV.sub(lambda name: quote(look(Reference(variable=name[1])), safe=""), value)
        return value if url == value else Secret(url)
    reference = parse_secret(value)
    assert reference is not None  # the check takes no other text
    return Secret(look(reference))


def _texts(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, Mapping):
        yield from (((name,), each) for name, each in value.items())
    elif isinstance(value, list):
        yield from (((place,), each) for place, each in enumerate(value))
    else:
        yield (), value
