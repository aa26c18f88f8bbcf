"""What tests of several plugins share: the fake driver of NVIDIA GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import nvml

if TYPE_CHECKING:
    from pathlib import Path


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
