"""The cases of a compatibility file: what a new version of a contract is to the old one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from tests.vectors import Outcome


def outcomes(document: Mapping[str, Any]) -> Iterator[Outcome]:
    """Run each case against the bases of the file."""
    adapter = import_module("tests.vectors_compat")
    for case in document["cases"]:
        yield Outcome(case["id"], case["base"], adapter.run(case, document["bases"]))
