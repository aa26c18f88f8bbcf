"""Elektra's places: lists of plugins, each for one part of its two directions.

Meter has one direction, and every placement holds a list. So a place is a chain of its own, whose plugins are filters:
what orders two plugins does so where they share one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PLACEMENT: Final = "filter"
_CALLS: Final = {
    "get": ("getresolver", "pregetcache", "pregetstorage", "getstorage", "procgetstorage", "postgetstorage",
            "postgetcache", "postgetcleanup"),
    "set": ("setresolver", "presetstorage", "setstorage", "presetcleanup"),
    "commit": ("precommit", "commit", "postcommit"),
    "error": ("prerollback", "rollback", "postrollback"),
}  # fmt: skip
"""For each function the places where it is called."""
_FREE: Final = ("hook", "backend")
_KNOWN: Final = {place for places in _CALLS.values() for place in places} | set(_FREE)


def placement(places: Iterable[str]) -> str:
    """The placement that a contract states for some places; a word that is no place stays as it is."""
    return next((place for place in places if place not in _KNOWN), PLACEMENT)


def calls(places: Iterable[str]) -> list[str]:
    """The functions that are called in some places."""
    there = set(places)
    return [function for function, called in _CALLS.items() if there.intersection(called)]
