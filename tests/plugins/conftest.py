"""What tests of several plugins share: sources that end with the test, trees of cgroups, the fake driver of NVIDIA."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests import nvml
from tests.plugins.cgroups import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fake import Mounted


@pytest.fixture
def stopped() -> Iterator[Callable[[Mounted], Mounted]]:
    """Takes a source that was made and stops it with the test; then no file is open that was not before."""
    before = set(os.listdir("/proc/self/fd"))
    made: list[Mounted] = []

    def take(mounted: Mounted) -> Mounted:
        made.append(mounted)
        return mounted

    yield take
    for each in made:
        each.source.stop()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Cgroups of version 2 with all controllers, none made yet."""
    return Tree.version_2(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> Tree:
    """Cgroups of version 1 as systemd mounts them, none made yet."""
    return Tree.version_1(tmp_path)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake, compiled."""
    if nvml.compiler() is None:
        pytest.skip("no C compiler for the fake library of the driver")
    return nvml.compiled(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def nvml_driver(nvml_library: Path) -> nvml.Driver:
    """The fake, loaded into this process once."""
    return nvml.Driver(nvml_library)
