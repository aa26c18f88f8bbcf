"""A measurement of a piece of a program for a person: a table as text, and as HTML for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from meter.core import carbon, energies, totals
from meter.core.shown import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.core.measuring import Measurement
    from meter.core.quantity import Quantity


class Row(NamedTuple):
    """A line of the table."""

    scope: str
    name: str
    quantity: Quantity


def text(measurement: Measurement) -> str:
    """The table, with a remark below it for each number that is missing."""
    if not measurement.ended:
        return f"{visible(measurement.name) or 'measurement'}: not ended"
    rows = _rows(measurement)
    names = max(len(visible(row.name)) for row in rows)
    values = max(len(row.quantity.text()) for row in rows)
    lines = [visible(_caption(measurement)), ""]
    last = ""
    for row in rows:
        scope, last = ("" if row.scope == last else row.scope), row.scope
        value = row.quantity.text()
        lines.append(f"{scope:<7}  {visible(row.name):<{names}}  {value:>{values}}  {row.quantity.quality}")
    remarks = _remarks(measurement, rows)
    return "\n".join([*lines, *([""] if remarks else []), *map(visible, remarks)])


def html(measurement: Measurement) -> str:
    """The same for a notebook; every text is escaped."""
    from html import escape  # only notebooks need it

    if not measurement.ended:
        return f"<p>{escape(text(measurement))}</p>"
    rows = _rows(measurement)
    head = "".join(f"<th>{word}</th>" for word in ("", "measured", "value", "quality"))
    body = "".join(
        f"<tr><td>{escape(row.scope)}</td><td>{escape(row.name)}</td>"
        f"<td style='text-align: right'>{escape(row.quantity.text())}</td>"
        f"<td>{escape(row.quantity.quality)}</td></tr>"
        for row in rows
    )
    remarks = "".join(f"<p>{escape(remark)}</p>" for remark in _remarks(measurement, rows))
    caption = escape(_caption(measurement))
    return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>{remarks}"


def _caption(measurement: Measurement) -> str:
    length = measurement.duration.text()
    return f"{measurement.name}: {length}" if measurement.name else length


def _rows(measurement: Measurement) -> list[Row]:
    own = [
        ("duration", measurement.duration),
        ("cpu time, user", measurement.cpu_user),
        ("cpu time, system", measurement.cpu_system),
        ("cpu time of the thread", measurement.cpu_thread),
        ("memory, peak", measurement.memory_peak),
        ("memory, growth", measurement.memory_growth),
        ("storage, read", measurement.io_read),
        ("storage, written", measurement.io_written),
        ("energy, attributed to the process", measurement.attributed),
    ]
    document = measurement.to_json()
    if measurement.carbon is not None:
        own.append(("carbon, attributed to the process", measurement.carbon.attributed))
    return [
        *(Row("process", name, quantity) for name, quantity in own),
        *(Row("machine", *line) for line in energies.lines(document["energy"])),
        *(Row("machine", *line) for line in carbon.lines(document["carbon"])),
        *(Row("machine", name, quantity) for name, quantity in _summary(measurement).lines),
    ]


def _summary(measurement: Measurement) -> totals.Summary:
    return totals.summary(totals.to_json(total) for total in measurement.metrics)


def _remarks(measurement: Measurement, rows: Sequence[Row]) -> list[str]:
    remarks = totals.remarks((row.name, row.quantity) for row in rows)
    if zeros := _summary(measurement).zeros:
        remarks.append(f"{zeros} more metrics of the machine stayed 0")
    remarks += totals.slowed(measurement.to_json()["slower"])
    return [*remarks, *(f"problem: {problem}" for problem in measurement.problems)]
