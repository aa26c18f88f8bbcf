"""The filter `bridge`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from meter.core.arithmetic import PART, because
from meter.core.arrays import DTYPES
from meter.core.bind import Selection
from meter.core.plugin import EACH, Filter
from meter.core.reductions import Cells, Result, function
from meter.plugins.bridge.membership import Membership

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meter.core.arrays import Array
    from meter.core.batch import Block
    from meter.core.keys import Entity, Key
    from meter.core.plugin import Context

_HOST: Final = "host.name"
_REMEMBERED: Final = 1024


class Bridge(Filter):
    """What the processes of each cgroup come to: the same metric, whose consumer is the cgroup and not the process.

    Sums have the name of the input; mean, least and greatest value have `.mean`, `.min` and `.max` behind it. Rows that
    end at the same time and go into the same series are one, whichever blocks they come in; its span is that of the
    longest of them. Sums of integers are exact. A missing cell makes a sum missing; the others are of what is there.

    A row belongs to the cgroup in which its process is when the row comes to the filter; see `Membership`.

    Block: a row for each cgroup and time. Keys have the id `EACH`, and each row says of which cgroup it is.
    """

    regroups = "consumer"

    def start(self, context: Context) -> None:
        """Begin without a past."""
        self._members = Membership(context, self.config["controller"], self.config["level"])
        self._held: dict[tuple[int, str], list[tuple[Selection, Block, list[str]]]] = {}
        """By rule and type: blocks, and for each row or each column the cgroup that it goes to."""
        self._merges: dict[tuple[str, ...], Selection] = {}

    def stop(self) -> None:
        """Close what is open."""
        self._members.close()

    def owner(self, key: Key, family: str, kinds: tuple[str, ...]) -> Entity | None:
        """Each row says of which cgroup it is; of a process of another host nobody here knows one."""
        del family
        host = dict(key.attributes).get(_HOST)
        return (kinds[0], EACH) if host in (None, os.uname().nodename) else None

    def run(self, selections: Sequence[Selection], block: Block) -> Iterator[Block]:
        """Find out where the processes of a block are, while they are there, and keep it for the watermark."""
        if not block.rows:
            return
        spans = list(zip(block.since.tolist(), block.ts.tolist(), strict=True))
        of = self._members.of
        for selection in selections:
            if block.ids is not None:
                paths = [of(pid, *span) for pid, span in zip(block.ids, spans, strict=True)]
            else:
                # A process that moves meanwhile is where the last of these rows finds it.
                paths = [of(key.consumer[1], spans[0][0], spans[-1][1]) for key in selection.inputs]
            kind = selection.place, selection.inputs[0].metric.type
            self._held.setdefault(kind, []).append((selection, block, paths))
        yield from ()

    def watermark(self, ts: int) -> Iterator[Block]:
        """What came in this hand-over."""
        del ts
        return self.finish()

    def finish(self) -> Iterator[Block]:
        """What is there."""
        held, self._held = self._held, {}
        self._members.end()
        for _, some in sorted(held.items(), key=lambda item: item[0]):
            yield from self._merged(_Pool.of(some))

    def _merged(self, pool: _Pool) -> Iterator[Block]:
        """The rows of the cgroups that the cells of a pool go to."""
        rule = pool.selection.rule
        assert rule.gives is not None
        assert rule.gives.merge is not None  # that is what the contract says
        result = pool.reduced(rule.gives.merge)
        for columns, lines in pool.tables():
            keys = [pool.keys[column] for column in columns]
            place = np.array([line.cells for line in lines], np.intp)
            missing = np.zeros(place.shape, bool)
            reasons: dict[tuple[int, int], str] = {}
            for where, text in result.faults:
                taken = where[place]
                missing |= taken
                for row, column in np.argwhere(taken).tolist():
                    reasons[row, column] = because(text, pool.reasons.get(int(place[row, column]), ""))
            block = self._giving(pool.selection, keys).give(
                result.values[place],
                ts=np.array([line.ts for line in lines], np.int64),
                since=np.array([line.since for line in lines], np.int64),
                missing=missing,
                reasons=reasons,
            )
            yield block.rows_of(tuple([line.path for line in lines]))

    def _giving(self, selection: Selection, keys: list[Key]) -> Selection:
        """A selection that gives just these series."""
        assert selection.layout is not None
        name = tuple([f"{selection.place} {key.name} {key.metric}" for key in keys])
        found = self._merges.get(name)
        if found is None:
            if len(self._merges) >= _REMEMBERED:
                self._merges.clear()
            found = self._merges[name] = Selection(selection.place, selection.rule, selection.layout, (), keys, ())
        return found


class _Line(NamedTuple):
    """One row of the result: where each of its columns lies among the merged cells."""

    ts: int
    path: str
    since: int
    cells: tuple[int, ...]


class _Pool:
    """All cells that one rule merges in one hand-over, of one type, in the order of time, cgroup and series.

    `keys` are the series of the result. `reasons` says for a group of cells why one of them is missing.
    """

    def __init__(
        self, selection: Selection, keys: list[Key], paths: list[str], cells: dict[str, Array], why: dict[int, str]
    ) -> None:
        self.selection = selection
        self.keys = keys
        self._paths = paths
        order = np.lexsort((cells["series"], cells["path"], cells["ts"]))
        sorted_ = {name: array[order] for name, array in cells.items()}
        labels = [sorted_[name] for name in ("ts", "path", "series")]
        new = np.ones(len(order), bool)
        new[1:] = np.logical_or.reduce([label[1:] != label[:-1] for label in labels])
        self._starts = new.nonzero()[0]
        self._sizes = np.diff([*self._starts.tolist(), len(order)])
        self._cells = sorted_
        group = np.cumsum(new) - 1
        place = np.empty(len(order), np.intp)
        place[order] = group
        self.reasons: dict[int, str] = {}
        for cell, text in why.items():
            self.reasons.setdefault(int(place[cell]), text)

    @classmethod
    def of(cls, held: Sequence[tuple[Selection, Block, list[str]]]) -> _Pool:
        """The cells of some blocks, as selections read them, with the cgroup of each row or of each column."""
        numbers: dict[str, int] = {}
        keys: list[Key] = []
        paths: dict[str, int] = {}
        why: dict[int, str] = {}
        columns: dict[str, list[Array]] = {name: [] for name in ("series", "path", "ts", "since", "values", "gaps")}
        count = 0
        for selection, block, where in held:
            declared = selection.rule.gives and selection.rule.gives.quality
            series = []
            for key in selection.outputs:
                number = numbers.setdefault(key.name, len(keys))
                if number == len(keys):
                    keys.append(key)
                elif keys[number].metric.quality == declared:
                    keys[number] = key  # the worse quality holds for all: it is not the one that the rule declares
                series.append(number)
            values = selection.read(block)
            gaps = selection.missing(block)
            width = values.shape[1]
            own = np.array([paths.setdefault(path, len(paths)) for path in where], np.intp)
            columns["series"].append(np.tile(np.array([series[at] for at in selection.groups], np.intp), block.rows))
            columns["path"].append(np.tile(own, block.rows) if block.ids is None else np.repeat(own, width))
            columns["ts"].append(np.repeat(block.ts, width))
            columns["since"].append(np.repeat(block.since, width))
            columns["values"].append(values.ravel())
            columns["gaps"].append(np.zeros(values.size, bool) if gaps is None else gaps.ravel())
            for (row, column), text in selection.reasons(block).items():
                why[count + row * width + column] = text
            count += values.size
        cells = {name: np.concatenate(arrays) for name, arrays in columns.items()}
        return cls(held[0][0], keys, list(paths), cells, why)

    def reduced(self, name: str) -> Result:
        """The value of each group of cells."""
        cells = self._cells
        merge = function(name, DTYPES[self.selection.inputs[0].metric.type], 0.0)
        gaps = cells["gaps"] if cells["gaps"].any() else None
        result = merge.result(merge.reduce(Cells(cells["values"], gaps, self._starts, self._sizes, cells["ts"])))
        if gaps is None or not merge.complete:
            return result
        return Result(result.values, (*result.faults, (np.logical_or.reduceat(gaps, self._starts), PART)))

    def tables(self) -> list[tuple[tuple[int, ...], list[_Line]]]:
        """Rows of the result with the same series, in the order of time; a series with another span has its own."""
        firsts: list[Any] = [self._cells[name][self._starts].tolist() for name in ("ts", "path", "series")]
        since = np.minimum.reduceat(self._cells["since"], self._starts).tolist()
        lines: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        for cell, (ts, path, series) in enumerate(zip(*firsts, strict=True)):
            lines.setdefault((ts, path, since[cell]), []).append((series, cell))
        found: dict[tuple[int, ...], list[_Line]] = {}
        for (ts, path, begin), each in lines.items():
            columns = tuple([series for series, _ in each])
            line = _Line(ts, self._paths[path], begin, tuple([cell for _, cell in each]))
            found.setdefault(columns, []).append(line)
        return list(found.items())
