"""What one poll of a source gives: rows over declared columns.

Imports neither numpy nor attrs: a source is polled before the pipeline exists. Every key is checked against what the
plan says that the instance may emit; a check is paid once for each key, later uses of it are one lookup.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from meter.core.breach import ContractBreach
from meter.core.keys import EACH, Key, Metric
from meter.core.plugin import Missing, SourceContext
from meter.core.rows import EACH_ROW, REFUSED, Rows
from meter.core.rows import Columns as Columns  # noqa: PLC0414  (handed on: plugins are written against this module)
from meter.core.rows import Row as Row  # noqa: PLC0414  (as above)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from meter.contracts.variants import Variant

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
_NOTHING: frozenset[str] = frozenset()
_RANGES = {"u64": (0, 2**64 - 1), "i64": (-(2**63), 2**63 - 1)}

# Short-lived objects (processes) give new keys for as long as meter runs; what is remembered is bounded. Beyond the
# bound everything is forgotten and made again when it is next used: slower once, never wrong.
_KEYS_REMEMBERED = 1 << 15
_COLUMNS_REMEMBERED = 64


class ColumnSpec(NamedTuple):
    """One column as a plugin asks for it; the same words as `Readings.emit`. A plain tuple does as well.

    `quality` is that of this series where it is worse than the contract says, and `reason` says why: one GPU has a
    counter of energy, where that of another has to be computed.
    """

    metric: str
    resource_id: str | None = None
    consumer_id: str | None = None
    resource: str | None = None
    consumer: str | None = None
    attributes: Mapping[str, str] = _NO_ATTRIBUTES
    quality: str | None = None
    reason: str = ""


class Declared:
    """What one instance may emit, from the variants of its plan.

    Args: label, the instance, named in breaches; variants, its product sets of series; absent, the metrics of its
        contract that this host does not let it give; qualities, all words for quality, the best one first.
    """

    __slots__ = ("_columns", "_keys", "_qualities", "_variants", "absent", "label")

    def __init__(
        self,
        label: str,
        variants: Iterable[Variant],
        absent: Iterable[str] = (),
        qualities: Sequence[str] = (),
    ) -> None:
        self.label = label
        self._qualities = tuple(qualities)
        self.absent = frozenset(absent)
        self._variants: dict[str, list[Variant]] = {}
        for variant in variants:
            self._variants.setdefault(variant.metric, []).append(variant)
        self._keys: dict[tuple[object, ...], Key] = {}
        self._columns: dict[tuple[Key, ...], Columns] = {}

    def intervals(self) -> dict[str, int]:
        """Each declared metric with the time between two of its rows, in nanoseconds."""
        return {name: max(each.interval for each in variants) for name, variants in sorted(self._variants.items())}

    def key(
        self,
        metric: str,
        resource_id: str | None = None,
        consumer_id: str | None = None,
        resource: str | None = None,
        consumer: str | None = None,
        attributes: Mapping[str, str] = _NO_ATTRIBUTES,
        quality: str | None = None,
        reason: str = "",
    ) -> Key:
        """The series that these words name; equal words give the identical key.

        `resource` and `consumer` are kinds and default to the only one that is declared for the metric. The kind
        `machine` has the empty id, every other kind needs one.
        Raises: ContractBreach, the metric, a kind, an attribute's name or its value is not declared, or an id is
            missing or too many; the detail names the nearest declared word.
        """
        asked = (metric, resource_id, consumer_id, resource, consumer, quality, reason, *attributes.items())
        key = self._keys.get(asked)
        if key is None:
            if len(self._keys) >= _KEYS_REMEMBERED:
                self._keys.clear()
            spec = ColumnSpec(metric, resource_id, consumer_id, resource, consumer, attributes, quality, reason)
            key = self._keys[asked] = self._make(spec)
        return key

    def columns(self, specs: Iterable[ColumnSpec]) -> Columns:
        """The columns of these series, in this order; equal series give the identical columns.

        Raises: ContractBreach, as `key`, and where two specs name one series.
        """
        keys = tuple(self.key(*spec) for spec in specs)
        if len(set(keys)) < len(keys):
            twice = next(key for at, key in enumerate(keys) if key in keys[:at])
            raise ContractBreach(self.label, "provides.metrics", "two-columns", **_of(twice))
        made = self.interned(keys)
        if made.each and len({(key.resource[1] == EACH, key.consumer[1] == EACH) for key in keys}) > 1:
            other = next(key for key in keys if key.consumer[1] != EACH or key.resource[1] == EACH)
            raise ContractBreach(self.label, "provides.metrics", "each-mixed", **_of(other))
        return made

    def interned(self, keys: tuple[Key, ...]) -> Columns:
        """The columns of keys that were checked before; equal ones, in quality too, give the same columns."""
        columns = self._columns.get(keys)
        # Keys are equal by name: one that has become worse is another column.
        if columns is None or not all(map(_alike, columns.keys, keys)):
            if len(self._columns) >= _COLUMNS_REMEMBERED:
                self._columns.clear()
            columns = self._columns[keys] = Columns(keys, self.label)
        return columns

    def _make(self, asked: ColumnSpec) -> Key:
        variants = self._variants.get(asked.metric)
        if variants is None:
            raise self._breach("", "metric", asked.metric, self._variants, metric=asked.metric)
        resource = self._kind(asked.metric, "resource", asked.resource, [variant.resource for variant in variants])
        consumer = self._kind(asked.metric, "consumer", asked.consumer, [variant.consumer for variant in variants])
        ids = (
            self._id(asked.metric, "resource", resource, asked.resource_id),
            self._id(asked.metric, "consumer", consumer, asked.consumer_id),
        )
        variant = self._allowed(asked, resource, consumer, variants)
        return Key.make(
            self._metric(variant, asked),
            resource=(resource, ids[0]),
            consumer=(consumer, ids[1]),
            attributes=dict(asked.attributes),
        )

    def _metric(self, variant: Variant, asked: ColumnSpec) -> Metric:
        """What the series shares with others, and its own quality. Raises: ContractBreach, it is said to be better."""
        metric = Metric.of(variant)
        if asked.quality is None:
            return metric
        worse = self._qualities[self._qualities.index(variant.quality) :] if self._qualities else (variant.quality,)
        if asked.quality not in worse:
            told = {"metric": asked.metric, "quality": asked.quality}
            raise self._breach("quality", "quality", asked.quality, worse, **told)
        return metric._replace(quality=asked.quality, reason=asked.reason)

    def _kind(self, metric: str, role: str, asked: str | None, declared: list[frozenset[str]]) -> str:
        kinds: frozenset[str] = frozenset().union(*declared)
        if asked is None:
            if len(kinds) > 1:
                words = ", ".join(f"`{kind}`" for kind in sorted(kinds))
                raise self._breach(role, "kinds", metric=metric, role=role, words=words)
            return next(iter(kinds))
        if asked not in kinds:
            raise self._breach(role, "kind", asked, kinds, metric=metric, role=role, kind=asked)
        return asked

    def _id(self, metric: str, role: str, kind: str, asked: str | None) -> str:
        if asked is not None and not isinstance(asked, str):
            raise self._breach(role, "id-type", metric=metric, role=role, id=repr(asked))
        if kind == "machine" and asked:
            raise self._breach(role, "id-given", metric=metric, role=role, id=asked)
        if kind != "machine" and not asked:
            raise self._breach(role, "id-missing", metric=metric, role=role, kind=kind)
        return asked or ""

    def _allowed(self, asked: ColumnSpec, resource: str, consumer: str, variants: list[Variant]) -> Variant:
        """The first variant that has the series; raises ContractBreach where none has it."""
        names = sorted(asked.attributes)
        named = [variant for variant in variants if [name for name, _ in variant.attributes] == names]
        if not named:
            raise self._unnamed(asked.metric, names, variants)
        for variant in named:
            if (
                resource in variant.resource
                and consumer in variant.consumer
                and all(values is None or asked.attributes[name] in values for name, values in variant.attributes)
            ):
                self._texts(asked)
                return variant
        for name, value in sorted(asked.attributes.items()):
            domains = [variant.domain(name) for variant in named]
            known: frozenset[str] = frozenset().union(*(values or () for values in domains))
            if None not in domains and value not in known:
                raise self._breach("attributes", "value", value, known, metric=asked.metric, value=value, name=name)
        words = ", ".join(f"`{name}={value}`" for name, value in sorted(asked.attributes.items()))
        what = "together" if words else "bare"
        raise self._breach("attributes", what, metric=asked.metric, words=words, resource=resource, consumer=consumer)

    def _unnamed(self, metric: str, names: list[str], variants: list[Variant]) -> ContractBreach:
        """The breach of attribute names that no variant has together; told against the most similar variant."""
        nearest = min(
            ([name for name, _ in variant.attributes] for variant in variants),
            key=lambda declared: len({*declared} ^ {*names}),
        )
        for name in names:
            if name not in nearest:
                free = [each for each in nearest if each not in names]
                return self._breach("attributes", "attribute", name, free, metric=metric, name=name)
        lacking = ", ".join(f"`{name}`" for name in nearest if name not in names)
        return self._breach("attributes", "lacking", metric=metric, words=lacking)

    def _texts(self, asked: ColumnSpec) -> None:
        for name, value in asked.attributes.items():
            if not isinstance(value, str):
                raise self._breach("attributes", "value-type", metric=asked.metric, name=name, value=repr(value))

    def _breach(
        self, field: str, what: str, word: str = "", known: Iterable[str] = (), /, **facts: str
    ) -> ContractBreach:
        """A breach of the clause `provides.metrics.FIELD`, with the known word nearest to the one that was given."""
        import difflib  # only a breach needs it

        near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
        clause = f"provides.metrics.{field}" if field else "provides.metrics"
        return ContractBreach(self.label, clause, what, **facts, near=near[0] if near else "")


def _alike(one: Key, other: Key) -> bool:
    """Whether two keys of one name are of one quality, too."""
    return one is other or one.metric == other.metric


def _of(key: Key) -> dict[str, str]:
    """The facts of a breach that is about one series."""
    return {"key": key.said, "metric": key.metric.name}


def _said(keys: Sequence[Key]) -> str:
    """The first of the series of a row."""
    return keys[0].said if keys else ""


def _named(keys: Sequence[Key]) -> str:
    """The first metric of a row."""
    return keys[0].metric.name if keys else ""


class Readings:
    """What a source gives at one poll; one object for each instance, used again at each poll.

    `ts` is the time of this poll, `since` that of the previous good one (at the first poll `ts`), both in monotonic
    nanoseconds. The engine calls `begin`, lets the source poll, and calls `take`, or `drop` where the poll failed.

    Args: `tolerated` is told what breaks the contract and says whether the source goes on all the same. Then the poll
        is not ended by an exception, and what offends is left out: a value that does not fit is missing, a series that
        is not declared is not there. By default nothing is tolerated.
    """

    __slots__ = (
        *("_declared", "_disjoint", "_emitted", "_groups", "_label", "_last", "_rows", "_tolerated"),
        *("idle", "since", "ts"),
    )

    def __init__(self, declared: Declared, tolerated: Callable[[ContractBreach], bool] = lambda _: False) -> None:
        self._declared = declared
        self._label = declared.label
        self._tolerated = tolerated
        self._disjoint: set[tuple[Columns, ...]] = set()
        self._last: int | None = None
        self.ts = 0
        self.since = 0
        self.idle: frozenset[str] = frozenset()
        """The metrics of which the source has said in this poll that there is nothing to measure."""
        self._rows = Rows()
        self._groups: dict[int, tuple[list[Key], list[Any]]] = {}
        self._emitted: set[Key] = set()

    def emit(
        self,
        metric: str,
        value: Any,
        *,
        resource_id: str | None = None,
        consumer_id: str | None = None,
        resource: str | None = None,
        consumer: str | None = None,
        attributes: Mapping[str, str] = _NO_ATTRIBUTES,
        since: int | None = None,
    ) -> None:
        """Give one value; those of one poll and one `since` become one row.

        Raises: ContractBreach, the series is not declared or was given before in this poll, the value is no number,
            or it does not fit the metric's type. NaN, infinities, `None` and `Missing` are missing cells.
        """
        try:
            key = self._declared.key(metric, resource_id, consumer_id, resource, consumer, attributes)
            start = self.since if since is None else self._span(since, metric)
            if key in self._emitted:
                raise self._twice(key)
        except ContractBreach as breach:
            self._broken(breach)
            if breach.what == "twice":  # which of both is right, nobody knows
                self._withdraw(key, breach)
            return
        try:
            self._check(key, value)
        except ContractBreach as breach:
            value = self._gap(breach)
        group = self._groups.get(start)
        if group is None:
            group = self._groups[start] = ([], [])
        self._emitted.add(key)
        group[0].append(key)
        group[1].append(value)

    def row(self, columns: Columns, values: Sequence[Any], *, of: str = "", since: int | None = None) -> None:
        """Give one value for each column; `values` is handed over and not changed afterwards.

        `of` is the id of the thing that is meant, where the columns were declared with the id `EACH`.
        Raises: ContractBreach, as `emit`, and where there are more or fewer values than columns, or `of` is missing
            or too many.
        """
        each = columns.each
        unlike = (each or of != "") and (each is not (of not in ("", EACH)) or type(of) is not str)
        if unlike or len(values) != columns.width or columns.by != self._label:
            self._broken(self._unlike(columns, values, of))
            return
        start = self.since
        if since is not None:
            try:
                start = self._span(since, _named(columns.keys))
            except ContractBreach as breach:
                self._broken(breach)
                return
        kinds = tuple(map(type, values))
        if kinds == columns.kinds or columns.plain(kinds):
            try:
                self._rows.entries += (columns, columns.pack(self.ts, start, *values), of)
            except REFUSED:
                pass
            else:
                return
        if columns.width:
            self._rows.add([Row(columns, self.ts, start, self._fitting(columns.keys, values), of)])

    def _unlike(self, columns: Columns, values: Sequence[Any], of: str) -> ContractBreach:
        """The breach of a row that is none of the columns that it is said to be of."""
        keys = columns.keys
        label, metrics = self._declared.label, _named(keys)
        if columns.by != label:
            return ContractBreach(label, "provides.metrics", "columns", metric=metrics)
        if columns.each is not (of not in ("", EACH)) or type(of) is not str:
            what = "each-missing" if columns.each else "each-given"
            return ContractBreach(label, "provides.metrics", what, key=_said(keys), id=repr(of), metric=metrics)
        facts = {"columns": str(len(keys)), "values": str(len(values)), "metric": metrics}
        return ContractBreach(label, "provides.metrics", "row-length", **facts)

    def nothing(self, *metrics: str) -> None:
        """Say that these metrics, or all where none is named, have nothing to measure on this host now.

        What the options name is not there yet, or the hardware does not have it. A source that gives none of a metric
        that it declares for three intervals, and does not say this, has broken its contract. What is there and cannot
        be read is missing, and not nothing.
        """
        self.idle = frozenset(metrics or self._declared.intervals())

    def columns(self, specs: Iterable[ColumnSpec]) -> Columns:
        """Declare the columns of a row while polling, where the set of series has changed.

        Raises: ContractBreach, as `emit`.
        """
        return self._declared.columns(specs)

    def begin(self, ts: int) -> None:
        """A poll starts at `ts`; what an unfinished poll left is forgotten."""
        if self._rows.entries or self._groups:
            self._clear()
        self.idle = _NOTHING
        self.ts = ts
        self.since = ts if self._last is None else self._last

    def give(self, to: Rows) -> None:
        """The poll was good: its rows go to others, those of `row` first, in the order given.

        Raises: ContractBreach, two rows have one series.
        """
        self._last = self.ts
        rows = self._rows.entries
        if self._groups or len(rows) > EACH_ROW:
            try:
                self._finish()
            except ContractBreach as breach:
                self._clear()
                self._broken(breach)
            self._groups = {}
            self._emitted = set()
        to.entries += rows  # in one step, as others may take them now
        rows.clear()

    def take(self) -> list[Row]:
        """The rows of a poll that was good.

        Raises: as `give`.
        """
        taken = Rows()
        self.give(taken)
        return list(taken)

    def _finish(self) -> None:
        """Make rows of single values, and see that no two have one series.

        Raises: ContractBreach, as `give`.
        """
        rows = self._rows
        for since, (keys, values) in self._groups.items():
            columns = self._declared.interned(tuple(keys))
            if columns.each:
                facts = _of(next(key for key in keys if key.each))
                raise ContractBreach(self._label, "provides.metrics", "each-missing", **facts, id="''")
            rows.add([Row(columns, self.ts, since, values)])
        if len(rows) > 1:
            columns_, ids = rows.columns, rows.ids
            self._verify(self._of_each(columns_, ids) if any(ids) else tuple(columns_))

    def drop(self) -> None:
        """The poll failed: nothing of it counts, and the next one still starts where the last good one ended."""
        self._clear()

    def _clear(self) -> None:
        self._rows.entries.clear()
        self._groups = {}
        self._emitted = set()

    def _broken(self, breach: ContractBreach) -> None:
        """The source broke its contract.

        Raises: the breach, unless it is tolerated.
        """
        if not self._tolerated(breach):
            raise breach

    def _gap(self, breach: ContractBreach) -> Missing:
        """What stands for a value that is not what was declared.

        Raises: as `_broken`.
        """
        self._broken(breach)
        return Missing(breach.detail)

    def _fitting(self, keys: Sequence[Key], values: Sequence[Any]) -> Sequence[Any]:
        """Values that may not fit: the same where each does, else with a gap for each that does not."""
        gaps: dict[int, Missing] = {}
        for at, (key, value) in enumerate(zip(keys, values, strict=True)):
            try:
                self._check(key, value)
            except ContractBreach as breach:
                gaps[at] = self._gap(breach)
        return [gaps.get(at, value) for at, value in enumerate(values)] if gaps else values

    def _withdraw(self, key: Key, breach: ContractBreach) -> None:
        """Take back the value of a series."""
        for keys, values in self._groups.values():
            if key in keys:
                values[keys.index(key)] = Missing(breach.detail)

    def _twice(self, key: Key) -> ContractBreach:
        return ContractBreach(self._declared.label, "provides.metrics", "twice", **_of(key))

    def _span(self, since: int, metric: str) -> int:
        if since > self.ts:
            facts = {"late": str(since - self.ts), "metric": metric}
            raise ContractBreach(self._declared.label, "provides.metrics", "span", **facts)
        return since

    def _of_each(self, of: Sequence[Columns], things: Sequence[str]) -> tuple[Columns, ...]:
        """The columns that may share no key; no thing may have two rows with one key.

        Raises: ContractBreach, one has.
        """
        ids: dict[Columns, set[str]] = {}
        for columns, id_ in zip(of, things, strict=True):
            have = ids.setdefault(columns, set())
            if id_ in have:
                raise self._twice(columns.keys[0].at(id_))
            have.add(id_)
        each = [columns for columns in ids if columns.each]
        for at, columns in enumerate(each):
            for other in each[:at]:
                if (both := ids[columns] & ids[other]) and (keys := {*columns.keys} & {*other.keys}):
                    raise self._twice(min(keys).at(min(both)))
        single = [columns for columns in ids if not columns.each]
        taken = {key for columns in single for key in columns.keys}
        if taken:
            names = {key.metric.name for key in taken}
            for columns in each:
                for key in columns.keys:
                    if key.metric.name in names:
                        for id_ in sorted(ids[columns]):
                            if (own := key.at(id_)) in taken:
                                raise self._twice(own)
        return tuple(single)

    def _verify(self, together: tuple[Columns, ...]) -> None:
        """No key may stand in two rows; proved once for each combination of columns."""
        if together in self._disjoint:
            return
        seen: set[Key] = set()
        for columns in together:
            for key in columns.keys:
                if key in seen:
                    raise self._twice(key)
                seen.add(key)
        if len(self._disjoint) >= _COLUMNS_REMEMBERED:
            self._disjoint.clear()
        self._disjoint.add(together)

    def _check(self, key: Key, value: Any) -> None:
        """Whether a cell's value fits its type; what is missing always fits."""
        limits = _RANGES.get(key.metric.type)
        kind = type(value)
        if limits is None:
            if kind is float or kind is int:
                return
        elif kind is int and limits[0] <= value <= limits[1]:
            return
        if value is None or isinstance(value, Missing):
            return
        wrong = ""
        if isinstance(value, bool) or not isinstance(value, Real):
            wrong = "no-number"
        elif limits is not None and math.isfinite(value):
            if not isinstance(value, Integral):
                wrong = "no-integer"
            elif not limits[0] <= int(value) <= limits[1]:
                wrong = "outside"
        if wrong:
            facts = {"value": repr(value), "type": key.metric.type, **_of(key)}
            raise ContractBreach(self._declared.label, "provides.metrics.type", wrong, **facts)


class BoundSourceContext(SourceContext):
    """The context of a source whose plan is known."""

    def __init__(self, declared: Declared, sysroot: str | PathLike[str] | None = None) -> None:
        super().__init__(declared.label, sysroot)
        self.absent = declared.absent
        self._declared = declared

    def columns(self, specs: Iterable[ColumnSpec]) -> Columns:
        """Declare the columns of a row once; each must lie in what the contract provides.

        Raises: ContractBreach, a metric, kind, attribute or value is not declared.
        """
        return self._declared.columns(specs)
