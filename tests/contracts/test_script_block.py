"""A contract in the comments of a Python file is read as one in a file of its own, and pointed at where it stands."""

import pytest

from meter.contracts.reader import read
from meter.contracts.script_block import ScriptBlock, has_block, script_block
from tests.contracts.build import at, shown

SCRIPT = """#!/usr/bin/env python
# a first plugin
import os

# /// meter
# name = "first"
# version = "1.0.0"
# placement = "source"
#
# [[provides.metrics]]
# name = "first.value"
# summary = "a\u2028line\u0085end"
# type = "f64"
# unit = "1"
# kind = "gauge"
# resource = ["machine"]
# ///

class Plugin: ...
"""


class TestScript:
    """Of a plugin that is one file."""

    def test_a_contract_in_comments(self) -> None:
        """A single file is a plugin: the module is the file."""
        result = read(SCRIPT.encode(), "first.py", stem="first")
        assert result.contract is not None
        assert result.contract.exports == {"plugin": "first:Plugin"}
        assert result.contract.provides.metrics[0].summary == "a\u2028line\u0085end"

    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_spans_are_places_of_the_real_file(self, ending: str) -> None:
        """An editor jumps to the comment's line and column."""
        text = SCRIPT.replace('unit = "1"', 'unit = "one"')
        (error,) = [d for d in read(text.replace("\n", ending).encode(), "first.py").diagnostics if d.level == "error"]
        assert at(shown(error), text, file="first.py") == '"one"'

    def test_malformed_comments_point_too(self) -> None:
        """Also where the text is no TOML at all."""
        text = SCRIPT.replace('unit = "1"', "unit = = 1")
        (error,) = read(text.encode(), "first.py").diagnostics
        span = error.spans[0]
        assert error.code == "E-FILE"
        assert text.split("\n")[span.line - 1][span.column - 1 :].startswith("= 1")

    def test_a_script_without_contract(self) -> None:
        """A Python file that states nothing is no plugin."""
        (error,) = read(b"print(1)\n", "first.py").diagnostics
        assert shown(error)["code"] == "E-CONTRACT-MISSING"

    def test_bytes_that_are_no_text(self) -> None:
        """A script's block is as strict on its encoding as a file, at the right place."""
        data = SCRIPT.encode().replace(b'"first.value"', b'"\xc3\xa9\xff"')
        (error,) = read(data, "first.py").diagnostics
        assert error.code == "E-FILE"
        assert (error.spans[0].line, error.spans[0].column) == (11, len('# name = "e') + 1)

    def test_a_block_that_does_not_end(self) -> None:
        """Without its last line a block is none."""
        assert script_block("# /// meter\n# name = 1\n") is None
        block = script_block("# /// meter\n# a = 1\n#\n# b = 2\n# ///\n")
        assert block == ScriptBlock("a = 1\n\nb = 2\n", 2, "  a = 1\n \n  b = 2\n")


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("# /// meter\n# name = 'x'\n# ///\n", True),
        ("import this\n# /// meter\n# name = 'x'\n# ///\n", True),
        ("TEXT = '''\n# /// meter\n# name = 'x'\n# ///\n'''\n", False),  # a text of the program, as a test has it
        ("def f(:\n'''\n# /// meter\n", True),  # no Python: that has to be said
        ("# //// meter\n", False),
        ("", False),
    ],
)
def test_a_block_is_made_of_comments(text: str, has: bool) -> None:  # noqa: FBT001  (a table)
    """What stands in a text of the program is no contract."""
    assert has_block(text.encode()) is has
