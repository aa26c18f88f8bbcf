"""Tables, lists, quantities and colours: exact texts, and that all is as wide as was asked."""

import io
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.cli.render import clip, colour_wanted, columns, listing, quantity, table, visible
from tests.cli.found import steady, texts


class TestQuantity:
    """`quantity`."""

    @pytest.mark.parametrize(
        ("value", "unit", "expected"),
        [
            (None, "s", "-"),
            (0, "s", "0 s"),
            (-0.0, "J", "0 J"),
            (0.00123, "s", "1.23 ms"),
            (0.0000123, "s", "12.3 µs"),
            (0.9996e-3, "s", "1 ms"),  # rounded first, so not 1000 µs
            (12.345, "s", "12.3 s"),
            (3725, "s", "3725 s"),  # no kiloseconds
            (-0.002, "s", "-2 ms"),
            (1e-15, "s", "0.001 ps"),
            (250, "ms", "250 ms"),
            (1_500_000, "ns", "1.5 ms"),
            (0, "By", "0 B"),
            (0.5, "By", "0.5 B"),
            (1023, "By", "1023 B"),
            (1024, "By", "1 KiB"),
            (1_572_864, "By", "1.5 MiB"),
            (2**64, "By", "16 EiB"),
            (2048, "KiBy", "2 MiB"),
            (1_500_000, "By/s", "1.43 MiB/s"),
            (2_500_000, "bit/s", "2.5 Mbit/s"),
            (0.4402, "J", "440 mJ"),
            (440.2, "J", "440 J"),
            (1234, "J", "1.23 kJ"),
            (12.34, "W", "12.3 W"),
            (3.3, "mW", "3.3 mW"),
            (2500, "MHz", "2.5 GHz"),
            (5, "kW.h", "5 kWh"),
            (12.3, "g{CO2e}", "12.3 g CO2e"),
            (7, "By/{request}", "7 B/request"),
            (0, "{packet}", "0"),
            (12, "{packet}", "12"),
            (99_999, "{packet}", "99999"),
            (1_234_567, "{packet}", "1.23 M"),
            (12.34, "{packet}/s", "12.3 packet/s"),
            (1_500_000, "{packet}/s", "1.5 M packet/s"),
            (3, "1/s", "3 /s"),
            (0.12345, "1", "0.123"),
            (0.000012, "1", "1.2e-05"),
            (1234.6, "1", "1235"),
            (34.56, "%", "34.6 %"),
            (45.2, "Cel", "45.2 °C"),
            (1.5, "h", "1.5 h"),
            (2, "l", "2 l"),  # not known here: as it is
            (float("nan"), "J", "nan J"),
            (float("-inf"), "By", "-inf B"),
            (1e30, "J", "1e+18 TJ"),
        ],
    )
    def test_a_value_is_written_for_people(self, value: float | None, unit: str, expected: str) -> None:
        """Three digits that matter, a fitting prefix, small whole numbers exact."""
        assert expected == quantity(value, unit)


class TestTable:
    """`table`."""

    def test_a_column_whose_ends_tell_rows_apart_is_cut_in_its_middle(self) -> None:
        """Wide characters count two; what fits stays whole."""
        rows = [["system.cpu.time mode=user state=idle", "1 s"], ["short", "3 s"], ["東京" * 8, "4 s"]]
        assert table(rows, ["", ""], align="mr", width=29).splitlines() == [
            "system.c…user state=idle  1 s",
            "short                     3 s",
            "東京東京… 京東京東京東京  4 s",
        ]

    def test_a_name_that_has_no_room_stands_above_its_row(self) -> None:
        """Whole, broken where even a line is too short for it; the other columns keep what they say."""
        rows = [
            ["command", "duration", "1 s", "measured"],
            ["", "energy, attributed to the command", "12.5 J", "estimated"],
            ["machine", "power (package-0), mean", "12.5 W", "derived"],
            ["", "power (package-1), mean", "13.5 W", "derived"],
        ]
        headers = ["", "measured", "value", "quality"]
        assert table(rows, headers, align="lmrl", width=40).splitlines() == [
            "         measured       value  quality",
            "command  duration         1 s  measured",
            "         energy, attributed to the",
            "         command",
            "                       12.5 J  estimated",
            "machine  power (package-0), mean",
            "                       12.5 W  derived",
            "         power (package-1), mean",
            "                       13.5 W  derived",
        ]

    def test_names_that_would_look_the_same_are_not_cut(self) -> None:
        """Others are, as long as enough of them is left."""
        same = [f"system.disk.{name}.operations of all the disks" for name in ("aaaa", "bbbb")]
        rows = [[same[0], "1"], [same[1], "2"], ["system.memory.usage and what else there is", "3"]]
        assert table(rows, ["", ""], align="mr", width=30).splitlines() == [
            "system.disk.aaaa.operations of",
            "all the disks",
            "                             1",
            "system.disk.bbbb.operations of",
            "all the disks",
            "                             2",
            "system.me…hat else there is  3",
        ]

    @steady
    @given(
        st.lists(
            st.tuples(*[st.sampled_from(["a" * 20, "b" * 20, "a", "b"])] * 3), min_size=1, max_size=6, unique=True
        ),
        st.integers(8, 60),
    )
    def test_different_names_never_look_the_same(self, names: list[tuple[str, str, str]], width: int) -> None:
        """At no width, and no line is longer than asked."""
        text = table([[".".join(name), "1"] for name in names], [], align="mr", width=width)
        looks = re.findall(r"[^1]+1", text)

        assert len(set(looks)) == len(looks) == len(names)
        assert max(map(columns, text.split("\n"))) <= width

    def test_columns_are_aligned(self) -> None:
        """Numbers to the right, two blanks between, none at the end."""
        assert (
            table([["user", "1.23 ms", "x"], ["system", "12 s"]], ["time", "value", ""], align="lr")
            == """\
time      value
user    1.23 ms  x
system     12 s"""
        )

    def test_wide_characters_take_two_columns(self) -> None:
        """So what follows them stands below its header."""
        assert table([["日本", "1"], ["e\u0301", "2"]], ["a", "b"]) == "a     b\n日本  1\ne\u0301     2"

    def test_the_widest_text_becomes_narrower(self) -> None:
        """Others and numbers keep all that they say; what is cut ends in `…`."""
        rows = [["cpu#fast", "/sys/class/powercap/intel-rapl:0", "440.123456789 J"], ["日本語日本語", "日" * 20, "1 J"]]
        assert (
            table(rows, ["name", "path", "energy"], align="llr", width=45)
            == """\
name          path                     energy
cpu#fast      /sys/class/po…  440.123456789 J
日本語日本語  日日日日日日…               1 J"""
        )
        assert (
            table(rows, ["name", "path", "energy"], align="llr", width=10)
            == """\
name  path           energy
cpu…  /sy…  440.123456789 J
日…   日…               1 J"""
        )

    def test_headers(self) -> None:
        """They alone are a table; they can be left out; they are bold where there is colour."""
        assert table([], ["a", "b"]) == "a  b"
        assert table([["1", "2"]], []) == "1  2"
        assert table([["1"]], [""]) == "1"
        assert not table([], [])
        assert table([["1\x1b"]], ["a"], colour=True) == "\x1b[1ma\x1b[0m\n1\\x1b"


class TestListing:
    """`listing`: rows of which nothing is cut, whatever the width."""

    ROWS = (
        ["system.cpu.time", "f64", "", "time of each core"],
        ["system.cpu.logical.count", "u64", "{cpu}", "how many"],
    )
    HEADERS = ("metric", "type", "unit", "summary")

    def test_where_it_has_room_it_is_a_table(self) -> None:
        """As every other."""
        assert listing(self.ROWS, self.HEADERS, width=80) == table(self.ROWS, self.HEADERS, width=80)

    def test_where_it_has_none_each_row_has_lines_of_its_own(self) -> None:
        """Each cell behind its header, but the first; what is empty is left out."""
        assert listing(self.ROWS, self.HEADERS, width=40).splitlines() == [
            *("system.cpu.time", "    type f64, summary time of each core"),
            *("system.cpu.logical.count", "    type u64, unit {cpu}, summary how", "    many"),
        ]

    def test_a_text_about_a_row_can_be_cut_and_has_lines_of_its_own(self) -> None:
        """It is cut while there is room to say what it is about."""
        rows = [["cpu", "source", "What each CPU core spent its time on since the last poll"]]
        headers = ["plugin", "placement", "summary"]
        assert listing(rows, headers, width=44, prose=True) == table(rows, headers, width=44)
        assert listing(rows, headers, width=30, prose=True).splitlines() == [
            *(
                "cpu",
                "    placement source",
                "    What each CPU core spent",
                "    its time on since the last",
                "    poll",
            ),
        ]


class TestColourWanted:
    """`colour_wanted`."""

    @pytest.mark.parametrize(
        ("environment", "terminal", "wanted"),
        [
            ({}, True, True),
            ({}, False, False),
            ({"TERM": "xterm"}, True, True),
            ({"TERM": "dumb"}, True, False),
            ({"NO_COLOR": "1"}, True, False),
            ({"NO_COLOR": "0"}, True, False),  # any value
            ({"NO_COLOR": ""}, True, True),  # but the empty one
            ({"FORCE_COLOR": "1"}, False, True),
            ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, False, True),
            ({"FORCE_COLOR": "0", "CLICOLOR_FORCE": ""}, False, False),
            ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ],
    )
    def test_the_environment_decides_before_the_terminal(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], *, terminal: bool, wanted: bool
    ) -> None:
        """Who forbids colours wins over who asks for them."""
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = io.StringIO()
        stream.isatty: Callable[[], bool] = lambda: terminal  # type: ignore[method-assign,misc]

        assert wanted is colour_wanted(stream)


class TestAnyText:
    """What holds for all texts and values."""

    @steady
    @given(st.lists(st.lists(texts, max_size=3), max_size=4), st.lists(texts, max_size=3), st.integers(0, 60))
    def test_a_table_is_rows_of_columns(self, rows: list[list[str]], headers: list[str], width: int) -> None:
        """One printable line for each row, not longer than asked where the columns can be that narrow."""
        count = max(map(len, [headers if any(headers) else [], *rows]), default=0)
        lines = table(rows, headers, width=width).split("\n")

        assert max(1, len(rows) + any(headers)) == len(lines)
        assert all(line.isprintable() and line == line.rstrip(" ") for line in lines)
        assert max(map(columns, lines)) <= max(width, 4 * count + 2 * (count - 1))

    @steady
    @given(texts, st.integers(0, 30))
    def test_clip(self, text: str, width: int) -> None:
        """Never wider than asked, unchanged where it fits."""
        shown = visible(text)

        assert columns(clip(shown, width)) <= width
        assert columns(shown) > width or clip(shown, width) == shown

    @steady
    @given(st.none() | st.integers(-(2**64), 2**64) | st.floats(), st.sampled_from(["s", "By", "J", "1", "mW"]) | texts)
    def test_any_quantity_has_a_text(self, value: float | None, unit: str) -> None:
        """Also values that are no numbers and units that are none."""
        assert quantity(value, unit).isprintable()
