"""What the tests of the engine share: a world of plugins without a past, and no pause that a test has to wait out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meter.core import delivery
from tests.core.liars import Still, world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plugins without a past, and no test that waits out a pause."""
    monkeypatch.setattr(delivery, "BACK_OFF_S", (0.001,))
    world.reset()
    yield
    world.reset()


@pytest.fixture
def clock() -> Still:
    """A clock that the test moves."""
    return Still()
