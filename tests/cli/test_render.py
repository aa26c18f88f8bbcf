"""Rendering: exact texts, and that no text from outside breaks a page or steers a terminal."""

import ast
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.cli import render
from meter.cli.render import (
    WARNINGS,
    clip,
    colour_wanted,
    columns,
    diagnostics_text,
    github,
    listing,
    quantity,
    sarif,
    table,
    visible,
)
from meter.core import shown

steady = settings(derandomize=True, database=None, deadline=None, max_examples=150)

METER = """\
[mounts."/host"]
# what is measured
plugins = ["rapl", "prometheus"]
"""
RAPL = '[[provides.metrics]]\nname = "hw.energy"\n\n\n\n\n\n\nkind = "delta"\n'
FILES = {"meter.toml": METER, "rapl/contract.toml": RAPL, "<command line>": "meter mount /host cpu 'a\nb' interval=1x"}


def span(file: str, line: int, column: int, length: int = 1, label: str = "") -> dict[str, Any]:
    """A span in its JSON form."""
    return {"file": file, "line": line, "column": column, "length": length, "label": label}


def diagnostic(*spans: Mapping[str, Any], code: str = "E-NAME", **others: Any) -> dict[str, Any]:
    """A diagnostic in its JSON form."""
    severity = "warning" if code.startswith("W") else "error"
    empty: dict[str, Any] = {"message": "it is wrong", "clause": None, "notes": [], "help": None, "edit": None}
    return {"code": code, "severity": severity, "spans": list(spans), **empty, **others}


def page(*diagnostics: Mapping[str, Any], width: int = 80, files: Mapping[str, str] | None = None) -> str:
    """Those diagnostics as text without colours."""
    return diagnostics_text(diagnostics, colour=False, width=width, read=(FILES if files is None else files).get)


def drawn(text: str, column: int, length: int = 1, label: str = "here", width: int = 80) -> str:
    """The lines below the `-->` of a diagnostic in a file with one line."""
    lines = page(diagnostic(span("f", 1, column, length, label)), width=width, files={"f": text}).split("\n")
    assert ["error[E-NAME]: it is wrong", f"  --> f:1:{column}", "  |"] == lines[:3]
    assert lines[-2:] == ["", "1 error"]
    return "\n".join(lines[3:-2])


KIND = diagnostic(
    span("meter.toml", 3, 20, 12, "accepts `gauge`, `counter`"),
    code="E-FLOW-KIND",
    message="`prometheus` cannot take `hw.energy` as `delta`",
    notes=["`hw.energy` is a `delta` since `rapl` (rapl/contract.toml:9, clause `provides.metrics.kind`)"],
    help='put `accumulate` between them: plugins = ["rapl", "accumulate", "prometheus"]',
)


class TestDiagnosticsText:
    """`diagnostics_text`."""

    def test_a_diagnostic_shows_its_line_and_says_why_and_what_to_change(self) -> None:
        """Message, place, source, note, help; notes and help wrap below their first word."""
        assert (
            page(KIND)
            == """\
error[E-FLOW-KIND]: `prometheus` cannot take `hw.energy` as `delta`
  --> meter.toml:3:20
  |
3 | plugins = ["rapl", "prometheus"]
  |                    ^^^^^^^^^^^^ accepts `gauge`, `counter`
  = note: `hw.energy` is a `delta` since `rapl` (rapl/contract.toml:9, clause
          `provides.metrics.kind`)
  = help: put `accumulate` between them: plugins = ["rapl", "accumulate",
          "prometheus"]

1 error"""
        )

    def test_further_places_are_underlined_otherwise(self) -> None:
        """Those of the same file in the order of its lines, those of another one below its name."""
        found = diagnostic(
            span("meter.toml", 3, 20, 12, "accepts `gauge`"),
            span("meter.toml", 3, 12, 6, "gives `delta`"),
            span("meter.toml", 1, 1, 16, "in this mount"),
            span("rapl/contract.toml", 9, 8, 7, "a `delta` since here"),
            span("rapl/contract.toml", 8, 1),
            span("gone.toml", 7, 2, 5, "unseen"),
        )
        assert (
            page(found)
            == """\
error[E-NAME]: it is wrong
  --> meter.toml:3:20
  |
1 | [mounts."/host"]
  | ---------------- in this mount
...
3 | plugins = ["rapl", "prometheus"]
  |                    ^^^^^^^^^^^^ accepts `gauge`
  |            ------ gives `delta`
  ::: rapl/contract.toml:9:8
  |
8 |
  | -
9 | kind = "delta"
  |        ------- a `delta` since here
  ::: gone.toml:7:2

1 error"""
        )

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        """So is a place that the text does not have (any more), and the first place keeps its arrow."""
        found = diagnostic(span("gone.toml", 4, 2, 3, "x"), span("meter.toml", 99, 1), span("meter.toml", 1, 2, 6))
        assert (
            page(found)
            == """\
error[E-NAME]: it is wrong
  --> gone.toml:4:2
  ::: meter.toml:99:1
  ::: meter.toml:1:2
  |
1 | [mounts."/host"]
  |  ------

1 error"""
        )

    def test_errors_and_warnings_are_counted(self) -> None:
        """A blank line between any two; without a place only the message stands there."""
        found = [diagnostic(code="W-STATUS-LOW", message="`a` is new"), diagnostic(), diagnostic(help="go\n  on")]
        assert (
            page(*found)
            == """\
warning[W-STATUS-LOW]: `a` is new

error[E-NAME]: it is wrong

error[E-NAME]: it is wrong
  = help: go
            on

2 errors, 1 warning"""
        )
        assert page(found[0]).endswith("\n\n1 warning")
        assert not page()

    def test_of_very_many_warnings_the_first_are_shown(self) -> None:
        """How many are not is said, and no error is left out."""
        found = [diagnostic(code="W-STATUS-LOW", message=f"warning {nth}") for nth in range(WARNINGS + 20)]
        shown = page(*found, diagnostic(message="the error"))

        assert f"warning {WARNINGS - 1}\n" in shown
        assert f"warning {WARNINGS}" not in shown
        assert "the error" in shown
        assert shown.endswith("\n\n1 error, 120 warnings (20 of them not shown)")

    def test_line_numbers_of_several_digits_move_the_gutter(self) -> None:
        """All gutters of one diagnostic are as wide as its largest line number."""
        files = {"f": "\n" * 8 + "nine\nten\n"}
        assert (
            page(diagnostic(span("f", 10, 1, 3, "ten"), span("f", 9, 2, 2, "nine"), notes=["n"]), files=files)
            == """\
error[E-NAME]: it is wrong
   --> f:10:1
   |
 9 | nine
   |  -- nine
10 | ten
   | ^^^ ten
   = note: n

1 error"""
        )

    def test_the_command_line_is_one_line(self) -> None:
        """Columns count across a line end in a quoted word."""
        assert (
            page(diagnostic(span("<command line>", 1, 29, 11, "no duration")))
            == r"""error[E-NAME]: it is wrong
  --> <command line>:1:29
  |
1 | meter mount /host cpu 'a\nb' interval=1x
  |                              ^^^^^^^^^^^ no duration

1 error"""
        )

    @pytest.mark.parametrize(
        ("text", "column", "length", "expected"),
        [
            ("a = 1", 1, 0, "1 | a = 1\n  | ^ here"),  # empty
            ("a = 1", 5, 99, "1 | a = 1\n  |     ^ here"),  # longer than the text
            ("a = [\n1]\n", 5, 4, "1 | a = [\n  |     ^ here"),  # over several lines: to the end of the first
            ("a = 1\r\nb", 5, 3, "1 | a = 1\n  |     ^ here"),  # the line end is none of the line's
            ("a = 1", 6, 1, "1 | a = 1\n  |      ^ here"),  # behind the line
            ("a = 1", 50, 2, "1 | a = 1\n  |      ^ here"),  # far behind it: the text changed
            ("", 1, 1, "1 |\n  | ^ here"),
            ("\ta = 1", 2, 1, "1 |     a = 1\n  |     ^ here"),
            ("\ta = 1", 1, 1, "1 |     a = 1\n  | ^^^^ here"),
            ("日本 = 1", 2, 1, "1 | 日本 = 1\n  |   ^^ here"),
            ("e\u0301 = 1", 1, 2, "1 | e\u0301 = 1\n  | ^ here"),
            ("e\u0301 = 1", 2, 1, "1 | e\u0301 = 1\n  | ^ here"),  # a mark is shown with its letter
            ("e\u0301 = 1", 4, 1, "1 | e\u0301 = 1\n  |   ^ here"),
            ("a\x1b[31m = 1", 2, 1, "1 | a\\x1b[31m = 1\n  |  ^^^^ here"),
            ("a\u202eb\x00c\rd", 3, 1, "1 | a\\u202eb\\x00c\\rd\n  |        ^ here"),
            ("a\u00a0= 1", 2, 1, "1 | a\\xa0= 1\n  |  ^^^^ here"),  # a blank that TOML does not take for one
        ],
    )
    def test_marks_stand_below_what_they_mean(self, text: str, column: int, length: int, expected: str) -> None:
        """Whatever a character is shown as, however many columns it takes."""
        assert expected == drawn(text, column, length)

    @pytest.mark.parametrize(
        ("column", "length", "label", "expected"),
        [
            (1, 4, "start", "1 | 0000 0001 0002 0003 0004 0005 0006 …\n  | ^^^^ start"),
            (101, 4, "middle", "1 | … 0018 0019 0020 0021 0022 0023 002…\n  |             ^^^^ middle"),
            (191, 4, "z", "1 | …032 0033 0034 0035 0036 0037 0038 0\n  |                               ^^^^ z"),
            (191, 9, "label", f"1 | …032 0033 0034 0035 0036 0037 0038 0\n  | {' ' * 30}^^^^^^\n  | {' ' * 30}label"),
            (6, 999, "all", f"1 | …0001 0002 0003 0004 0005 0006 0007…\n  |  {'^' * 34}\n  |  all"),
        ],
    )
    def test_a_long_line_is_cut_around_what_is_meant(self, column: int, length: int, label: str, expected: str) -> None:
        """`…` stands where something was left out; marks end where the line was cut."""
        assert expected == drawn(" ".join(f"{n:04}" for n in range(39)) + " 0", column, length, label, width=40)

    def test_two_places_far_apart_in_a_long_line(self) -> None:
        """The line is shown around each of them."""
        files = {"f": "a" + " " * 100 + "b"}
        assert (
            page(diagnostic(span("f", 1, 1, 1, "first"), span("f", 1, 102, 1, "last")), files=files, width=24)
            == """\
error[E-NAME]: it is
    wrong
  --> f:1:1
  |
1 | a                  …
  | ^ first
1 | …                  b
  |                    -
  |                 last

1 error"""
        )

    def test_a_narrow_terminal(self) -> None:
        """At 20 columns all is there, and only the place may be wider; below it nothing gets narrower."""
        assert (
            page(KIND, width=20)
            == """\
error[E-FLOW-KIND]:
    `prometheus`
    cannot take
    `hw.energy` as
    `delta`
  --> meter.toml:3:20
  |
3 | …, "prometheus"]
  |    ^^^^^^^^^^^^
  | accepts `gauge`,
  | `counter`
  = note: `hw.energy
          ` is a
          `delta`
          since
          `rapl`
          (rapl/cont
          ract.toml:
          9, clause
          `provides.
          metrics.ki
          nd`)
  = help: put
          `accumulat
          e` between
          them:
          plugins =
          ["rapl",
          "accumulat
          e",
          "prometheu
          s"]

1 error"""
        )
        assert page(KIND, width=20) == page(KIND, width=1)

    def test_a_command_is_not_broken(self) -> None:
        """What is there to be copied stays one line, however narrow the terminal: a shell would take it for two."""
        command = "sudo sysctl -w kernel.perf_event_paranoid=1"
        text = page(diagnostic(help=f"set it: `{command}`; or leave it out, `such as` here"), width=40)
        assert text.splitlines()[-6:-2] == [
            "  = help: set it:",
            f"          `{command}`;",
            "          or leave it out, `such as`",
            "          here",
        ]

    def test_colours(self) -> None:
        """Red errors, yellow warnings, blue gutters; all that is said is the same without them."""
        found = [
            diagnostic(span("meter.toml", 1, 2, 6, "mount"), span("meter.toml", 1, 10, 5, "name"), notes=["n"]),
            diagnostic(code="W-STATUS-LOW"),
        ]
        text = diagnostics_text(found, colour=True, width=80, read=FILES.get)
        assert (
            text.replace("\x1b[0m", "</>").replace("\x1b[", "<").replace("m", ">", 0)
            == """\
<1;31merror[E-NAME]</><1m: it is wrong</>
  <1;34m--></> meter.toml:1:2
<1;34m  |</>
<1;34m1 |</> [mounts."/host"]
<1;34m  |</>  <1;31m^^^^^^ mount</>
<1;34m  |</>          <1;34m----- name</>
  <1;34m=</> <1mnote</>: n

<1;33mwarning[W-STATUS-LOW]</><1m: it is wrong</>

<1;31m1 error</>, <1;33m1 warning</>"""
        )
        assert page(*found) == re.sub(r"\x1b\[[\d;]*m", "", text)

    def test_a_file_is_read_once(self) -> None:
        """However many diagnostics point into it."""
        asked: list[str] = []

        def read(file: str) -> str | None:
            asked.append(file)
            return FILES.get(file)

        diagnostics_text(
            [KIND, KIND, diagnostic(span("gone", 1, 1), span("gone", 2, 1))], colour=False, width=80, read=read
        )

        assert asked == ["meter.toml", "gone"]

    def test_the_form_without_length_is_understood(self) -> None:
        """A span may be just a place, notes may be missing."""
        short = {
            "code": "E-NAME",
            "severity": "error",
            "message": "m",
            "spans": [{"file": "f", "line": 1, "column": 2}],
        }
        assert page(short, files={"f": "abc"}).endswith("1 | abc\n  |  ^\n\n1 error")


# Texts with what is hard to show: controls, marks without a letter, wide characters, other directions, half surrogates.
texts = st.text(
    st.one_of(st.characters(), st.sampled_from("ab  `\n\r\t\x1b\x9b\u0301\u1160日🙂\u202e\ud800")), max_size=90
)
sources = st.lists(texts, max_size=4).map("\n".join)
names = st.sampled_from(["f", "g", "<command line>", "x\x1b[2J\n日"])
spans = st.builds(span, names, st.integers(-1, 9), st.integers(-1, 120), st.integers(-1, 120), texts)
codes = st.sampled_from(["E-NAME", "E-PLACEMENT-UNKNOWN", "W-RECOMMEND-DROPPED"])
found_ones = st.lists(
    st.builds(
        lambda spans, code, message, notes, help_: diagnostic(
            *spans, code=code, message=message, notes=notes, help=help_
        ),
        st.lists(spans, max_size=4),
        codes,
        texts,
        st.lists(texts, max_size=2),
        st.none() | texts,
    ),
    max_size=3,
)


class TestAnyText:
    """What holds for all diagnostics over all source texts."""

    @steady
    @given(found=found_ones, files=st.dictionaries(names, sources), width=st.integers(-3, 120), colour=st.booleans())
    def test_a_page_is_harmless_and_fits(
        self, found: Sequence[Mapping[str, Any]], files: Mapping[str, str], width: int, *, colour: bool
    ) -> None:
        """Nothing raises, nothing but line ends and colours controls the terminal, and lines are not too long."""
        text = diagnostics_text(found, colour=colour, width=width, read=files.get)

        if colour:
            text = re.sub(r"\x1b\[(0|1|1;3[134])m", "", text)
        lines = text.split("\n")
        assert all(line.isprintable() for line in lines)
        text.encode()
        for line in lines:
            assert columns(line) <= max(width, 40) or re.match(r" +(-->|:::) ", line)
            assert line == line.rstrip(" ")

    @steady
    @given(found_ones, st.dictionaries(names, sources))
    def test_colour_changes_nothing_else(self, found: Sequence[Mapping[str, Any]], files: Mapping[str, str]) -> None:
        """A page without its colours is the page without colours."""
        plain, coloured = (diagnostics_text(found, colour=on, width=60, read=files.get) for on in (False, True))

        assert plain == re.sub(r"\x1b\[[\d;]*m", "", coloured)

    @steady
    @given(found_ones)
    def test_commands_of_a_workflow_are_lines(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Each diagnostic is one printable line, whatever it says."""
        lines = github(found).split("\n") if found else []

        assert len(found) == len(lines)
        assert all(re.match(r"::(error|warning) [^:]+::", line) and line.isprintable() for line in lines)

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


class TestGithub:
    """`github`."""

    def test_places_titles_and_escapes(self) -> None:
        """A line each; values of properties escape more than the message; the command line is no file."""
        found = [
            diagnostic(span("a,b:c%.toml", 4, 20, label="x"), span("d.toml", 1, 1), message="50%, so:\r\nno", help="h"),
            diagnostic(span("<command line>", 1, 3), code="W-STATUS-LOW", notes=["why"]),
            diagnostic(message="\x1b[31m"),
        ]
        assert (
            github(found)
            == r"""::error file=a%2Cb%3Ac%25.toml,line=4,col=20,title=E-NAME::50%25, so:%0D%0Ano%0Ahelp: h
::warning title=W-STATUS-LOW::it is wrong%0Anote: why
::error title=E-NAME::\x1b[31m"""
        )
        assert not github([])


class TestSarif:
    """`sarif`."""

    def test_a_log(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rules once and sorted, results in their order, addresses relative where they can be."""
        monkeypatch.chdir(tmp_path)
        found = [
            diagnostic(span("my file:1.toml", 4, 20, 3, "x"), span(str(tmp_path / "d.toml"), 1, 1), notes=["why"]),
            diagnostic(span("<command line>", 1, 3), code="E-CLAIM"),
            diagnostic(span("/else/é.toml", 2, 0), code="W-STATUS-LOW", help="h"),
            diagnostic(),
        ]

        log = json.loads(json.dumps(sarif(found, "1.2.3", FILES.get)))

        assert log["version"] == "2.1.0"
        (run,) = log["runs"]
        assert run["tool"]["driver"] == {
            "name": "meter",
            "version": "1.2.3",
            "rules": [
                {"id": "E-CLAIM", "defaultConfiguration": {"level": "error"}},
                {"id": "E-NAME", "defaultConfiguration": {"level": "error"}},
                {"id": "W-STATUS-LOW", "defaultConfiguration": {"level": "warning"}},
            ],
        }
        assert run["columnKind"] == "unicodeCodePoints"
        assert run["results"] == [
            {
                "ruleId": "E-NAME",
                "ruleIndex": 1,
                "level": "error",
                "message": {"text": "it is wrong\nnote: why"},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": "my%20file%3A1.toml"},
                            "region": {"startLine": 4, "startColumn": 20},
                        },
                        "message": {"text": "x"},
                    }
                ],
                "relatedLocations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": "d.toml"},
                            "region": {"startLine": 1, "startColumn": 1},
                        }
                    }
                ],
            },
            {
                "ruleId": "E-CLAIM",
                "ruleIndex": 0,
                "level": "error",
                "message": {"text": "it is wrong"},
                "locations": [],
            },
            {
                "ruleId": "W-STATUS-LOW",
                "ruleIndex": 2,
                "level": "warning",
                "message": {"text": "it is wrong\nhelp: h"},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": "file:///else/%C3%A9.toml"},
                            "region": {"startLine": 2, "startColumn": 1},
                        }
                    }
                ],
            },
            {
                "ruleId": "E-NAME",
                "ruleIndex": 1,
                "level": "error",
                "message": {"text": "it is wrong"},
                "locations": [],
            },
        ]

    def test_an_edit_is_a_fix(self) -> None:
        """What goes is a region with its end, on its first line or a later one; of an insertion both are one."""
        changes = [
            {"file": "meter.toml", "line": 3, "column": 13, "length": 4, "text": "cpu"},
            {"file": "meter.toml", "line": 1, "column": 1, "length": 0, "text": "# x\n"},
            {"file": "meter.toml", "line": 2, "column": 3, "length": 19, "text": ""},
        ]
        edit = {"title": "write `cpu`", "changes": changes}

        (result,) = sarif([diagnostic(span("meter.toml", 3, 13), edit=edit)], "1", FILES.get)["runs"][0]["results"]

        (fix,) = result["fixes"]
        assert fix["description"] == {"text": "write `cpu`"}
        (change,) = fix["artifactChanges"]
        assert change["artifactLocation"] == {"uri": "meter.toml"}
        regions = [tuple(each["deletedRegion"].values()) for each in change["replacements"]]
        assert regions == [(3, 13, 3, 17), (1, 1, 1, 1), (2, 3, 3, 3)]
        assert [each["insertedContent"]["text"] for each in change["replacements"]] == ["cpu", "# x\n", ""]

    @pytest.mark.parametrize("file", ["<command line>", "gone.toml"])
    def test_what_has_no_artifact_has_no_fix(self, file: str) -> None:
        """A command line cannot be changed, and of a file that cannot be read the places are not known."""
        edit = {"title": "t", "changes": [{"file": file, "line": 1, "column": 1, "length": 1, "text": "a"}]}
        (result,) = sarif([diagnostic(span(file, 1, 1), edit=edit)], "1", FILES.get)["runs"][0]["results"]
        assert "fixes" not in result

    def test_no_diagnostics_are_a_log_without_results(self) -> None:
        """A run that found nothing is a result, too."""
        (run,) = sarif([], "1", FILES.get)["runs"]
        assert not run["results"]
        assert not run["tool"]["driver"]["rules"]


class TestLight:
    """What importing it costs."""

    def test_only_the_standard_library_is_imported(self) -> None:
        """And of it nothing of the weight of pathlib or json."""
        rooms = [str(Path(str(module.__file__)).parents[2]) for module in (render, shown)]
        code = f"import sys; sys.path[:0] = {rooms!r}; import meter.cli.render; print([*sys.modules])"
        done = subprocess.run([sys.executable, "-S", "-E", "-c", code], capture_output=True, check=True, text=True)

        loaded = {name.partition(".")[0] for name in ast.literal_eval(done.stdout)}
        assert loaded <= {*sys.stdlib_module_names, "__main__", "meter"}
        assert not loaded & {"pathlib", "urllib", "json", "inspect", "difflib", "shutil"}
