"""Plugins that look at their own configuration when they are mounted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def run(case: Mapping[str, Any]) -> dict[str, Any]:
    """What mounting says."""
    del case
    return {"error": "not there yet"}
