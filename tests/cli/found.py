"""Diagnostics that tests render: some by hand, and any."""

from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

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
