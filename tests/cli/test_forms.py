"""Diagnostics for machines: commands of a workflow, and SARIF."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from meter.cli.render import github, sarif
from tests.cli.found import FILES, diagnostic, found_ones, span, steady


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

    @steady
    @given(found_ones)
    def test_commands_of_a_workflow_are_lines(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Each diagnostic is one printable line, whatever it says."""
        lines = github(found).split("\n") if found else []

        assert len(found) == len(lines)
        assert all(re.match(r"::(error|warning) [^:]+::", line) and line.isprintable() for line in lines)


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
