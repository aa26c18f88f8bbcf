"""What some tests of the pages need beside the extra `test`: `.ci/run` installs it and then runs those."""

from __future__ import annotations

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `tools` is skipped where a module is missing that it names."""
    for mark in item.iter_markers("tools"):
        for name in mark.args:
            pytest.importorskip(name, reason="the extras `docs` and `lint` have it")
