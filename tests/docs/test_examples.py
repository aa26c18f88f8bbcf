"""The commands that show a code: each is run in an empty folder, and the code is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from meter.contracts.language import language
from tests.docs.test_docs import Shell

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = sorted(name for name, code in language().codes.items() if code.commands)


@pytest.mark.parametrize("code", SHOWN)
def test_the_commands_of_a_code_say_it(code: str, tmp_path: Path) -> None:
    """What `meter explain CODE` prints can be typed, and its last command says the code."""
    entry = language().codes[code]
    _, output = Shell(tmp_path).run(entry.commands)
    assert f"{entry.level}[{code}]: " in output, output
    assert "Traceback" not in output
    said = set(re.findall(r"^(?:error|warning)\[([EW]-[A-Z-]+)\]: ", output, re.MULTILINE))
    # Contracts of examples are short, and what could not be delivered is said before it is kept.
    assert said - {code} <= {"W-CLAUSE-MISSING", *(["E-IO"] if code == "W-KEPT" else [])}, output
