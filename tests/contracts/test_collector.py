"""The collector is away for a while, and back as it was."""

import gc

import pytest

from meter.contracts.collector import uncollected


@uncollected()
def fail() -> None:
    """Stop on the way."""
    assert not gc.isenabled()
    raise ValueError("x")


@pytest.mark.parametrize("collects", [True, False])
def test_it_is_as_it_was_afterwards(collects: bool) -> None:  # noqa: FBT001  (one column of a table)
    """Also behind an error, and where somebody had it switched off."""
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(ValueError, match="x"):
            fail()
        assert gc.isenabled() is collects
    finally:
        (gc.enable if before else gc.disable)()
