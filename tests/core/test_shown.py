"""What a person sees on a terminal; quantities and widths are also tested with the command line, which shows most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.shown import char_columns, clip, columns, cut, quantity, visible, visible_char


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1610612736, "By", "1.5 GiB"),
        (0.0123, "s", "12.3 ms"),
        (18446744073709551615, "By", "16 EiB"),
        (21.5, "Cel", "21.5 °C"),
        (12.34, "{packet}/s", "12.3 packet/s"),
        (99_999, "1", "99999"),
        (None, "J", "-"),
    ],
)
def test_quantities(value: float | None, unit: str, text: str) -> None:
    """Three digits that matter, a prefix, and the unit as people write it."""
    assert quantity(value, unit) == text


@given(text=st.text(), left=st.integers(0, 30), width=st.integers(0, 30))
def test_a_cut_takes_the_columns_that_it_was_given(text: str, left: int, width: int) -> None:
    """Never more of them, wide characters among them; what is visible stays so."""
    shown = visible(text)

    assert columns(cut(shown, left, left + width)) <= width
    assert columns(clip(shown, width)) <= width
    assert cut(shown, left, left + width).isprintable()


@given(text=st.text())
def test_a_text_is_its_characters(text: str) -> None:
    """So that places in it can be counted one character at a time."""
    assert visible(text) == "".join(map(visible_char, text))
    assert columns(visible(text)) == sum(map(char_columns, visible(text)))
