"""Pages of diagnostics: exact texts, and that no text from outside breaks a page or steers a terminal."""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.cli import render
from meter.cli.render import WARNINGS, columns, diagnostics_text
from meter.core import shown
from tests.cli.found import FILES, diagnostic, found_ones, names, sources, span, steady


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
