"""Trials: which recommendations a whole check has nothing against.

What one does to the order or to the metrics of a backend shows when all of it is checked. Whoever does harm is found by
halving: many that are sound cost one check more, and each that is not a few. So a mount that is sound without
recommendations is sound with them, whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

from meter.contracts.diagnostics import Diagnostic
from meter.contracts.language import language
from meter.contracts.resolution.recommended import Dropped, Key, Taken, first

WORK: Final = 20_000
"""How many instances the checks may look at that find out which recommendations do harm."""


class Trial(Protocol):
    """A backend that was checked whole, with some recommendations."""

    @property
    def taken(self) -> Sequence[Taken]:
        """The recommendations that were followed, in the order in which they were."""

    @property
    def size(self) -> int:
        """How many instances there are."""

    @property
    def harm(self) -> Sequence[Diagnostic]:
        """What is wrong with it that is not wrong without recommendations."""


_T = TypeVar("_T", bound=Trial)


def soundest(attempt: Callable[[Collection[Key] | None, Dropped], _T]) -> _T:
    """The backend with every recommendation that does no harm.

    Of those that were followed the shortest beginning is sought that does harm: one less does none, so the last one is
    dropped, however they hang together, and the rest tried again. Once that has cost too much none is followed but
    those that are known to be sound.

    Args: `attempt` checks a backend whole that follows some recommendations, all where it gets `None`, and none that
        were dropped. Without any it does no harm.
    """
    dropped: dict[Key, tuple[str, str]] = {}
    work = WORK
    while True:
        trial = attempt(None, dropped)
        taken, harm = trial.taken, trial.harm
        if not harm or not taken:
            return trial
        sound, unsound = 0, len(taken)
        while unsound - sound > 1 and work > 0:
            middle = (sound + unsound) // 2
            part = attempt([each.key for each in taken[:middle]], dropped)
            work -= part.size
            if part.harm:
                unsound, harm = middle, part.harm
            else:
                sound = middle
        work -= trial.size
        if unsound - sound == 1:
            culprit = taken[sound]
            dropped[culprit.key] = (culprit.plugin, first(harm).message)
        if work <= 0:
            why = language().phrase("text", "untried")
            for each in taken[sound:]:
                dropped.setdefault(each.key, (each.plugin, why))
            return attempt([each.key for each in taken[:sound]], dropped)
