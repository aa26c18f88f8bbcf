"""Binding: rules resolved against a real layout, once for each layout.

Stands between the evaluator of `meter.contracts.rules`, which says what a rule means, and the filters, which see
matrices. What no rule selects, and what a rule keeps, goes on beside the filter and never through its hands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from meter.contracts.rules import Rule, WorstQuality, apply, faults, give
from meter.contracts.variants import Variant
from meter.core.arrays import DTYPES, Array, finite, is_sealed
from meter.core.batch import Block, indexed
from meter.core.breach import GIVES, ContractBreach
from meter.core.keys import MACHINE, Entity, Key, KeySet, Metric
from meter.core.layout import Layout


class Selection:
    """One rule on one layout: the columns that it took, all of one type, and the series that it gives.

    `inputs` are the keys of the columns that `read` hands out, in that order. `outputs[i]` is the key that column
    i of what is handed to `give` stands for; empty where the rule gives nothing. `groups[i]` is the column of `outputs`
    that input i goes into: i itself unless the rule merges series. `state` belongs to the filter.
    """

    __slots__ = (
        *("_factor", "_loud", "_order", "_places", "_summand"),
        *("groups", "inputs", "layout", "outputs", "place", "rule", "state"),
    )

    def __init__(
        self,
        place: int,
        rule: Rule,
        layout: Layout,
        inputs: Sequence[Key],
        outputs: Sequence[Key],
        groups: Sequence[int] | None = None,
    ) -> None:
        self.place: Final = place
        self.rule: Final = rule
        self.inputs: Final = tuple(inputs)
        self.outputs: Final = tuple(outputs)
        self.groups: Final = tuple(range(len(self.outputs)) if groups is None else groups)
        self.state: Any = None
        self._places = indexed(layout.gather([layout.keys.position(key) for key in inputs]))
        conversion = _conversions(rule, inputs)
        self._factor: Any = None if conversion is None else _scalar(conversion[0])
        self._summand: Any = None if conversion is None or not conversion[1].any() else _scalar(conversion[1])
        self.layout: Final = Layout.of(KeySet(outputs)) if outputs else None
        place_of = {key: column for column, key in enumerate(self.outputs)}
        order = [] if self.layout is None else [place_of[key] for key in self.layout.keys]
        self._order = None if order == list(range(len(order))) else np.array(order, dtype=np.intp)

    def read(self, block: Block) -> Array:
        """The selected columns, [n, k], in the rule's unit where it names one; a missing cell is NaN, in integers 0.

        What is too great for a float in that unit is infinite.
        """
        values = block.take(self._places)
        if self._factor is None:
            return values
        scaled: Array = values * self._factor
        return scaled if self._summand is None else scaled + self._summand

    def missing(self, block: Block) -> Array | None:
        """Which cells of `read` are missing, bool[n, k]; None where none is."""
        return block.take_masks(self._places)

    def reasons(self, block: Block) -> dict[tuple[int, int], str]:
        """Why cells of `read` are missing, by row and column, as far as it is known."""
        if not block.reasons:
            return {}
        column = {block.layout.keys.position(key): place for place, key in enumerate(self.inputs)}
        return {(r, column[p]): why for (r, p), why in block.reasons.items() if p in column}

    def give(
        self,
        values: Array,
        *,
        ts: Array,
        since: Array,
        missing: Array | None = None,
        reasons: dict[tuple[int, int], str] | None = None,
    ) -> Block:
        """A block of what the rule gives.

        Args: `values` [n, k] with one column for each of `outputs`; `ts` and `since` int64[n], those of the block where
            the rows are the same; `missing` bool[n, k]; `reasons` by row and column. In f64, NaN and infinities are
            missing.
        Raises: ContractBreach, the rule gives nothing, or shape or type is not what it promises.
        """
        layout = self.layout
        if layout is None:
            metric = self.inputs[0].metric.name if self.inputs else ""
            raise ContractBreach("", GIVES, "gives-nothing", metric=metric)
        dtype = DTYPES[layout.dtypes[0]]
        shape = (len(ts), len(self.outputs))
        if values.dtype != dtype or values.shape != shape or (missing is not None and missing.shape != shape):
            got = values if missing is None or values.dtype != dtype or values.shape != shape else missing
            facts = {"got": f"{got.dtype}{list(got.shape)}", "wanted": f"{layout.dtypes[0]}{list(shape)}"}
            facts["metric"] = self.outputs[0].metric.name
            raise ContractBreach(self.outputs[0].metric.origin, GIVES, "shape", **facts)
        if dtype.kind == "f" and not finite(values):
            bad = ~np.isfinite(values)
            missing = bad if missing is None else missing | bad
        if missing is not None and not missing.any():
            missing = None
        if self._order is not None:
            values = values.take(self._order, axis=1)
            missing = None if missing is None else missing.take(self._order, axis=1)
        if missing is None and values.base is None and is_sealed(ts) and is_sealed(since):
            values.setflags(write=False)  # the usual way, and the fast one
            return Block(layout, ts, since, (values.view(),), sealed=True)
        moved: dict[tuple[int, int], str] = {}
        if reasons and missing is not None:
            position = [layout.keys.position(key) for key in self.outputs]
            moved = {(row, position[column]): why for (row, column), why in reasons.items()}
        if missing is not None:
            # Whoever forgets the mask must see that nothing is there: what stood in the cell is no measurement.
            values = np.where(missing, dtype.type(np.nan if dtype.kind == "f" else 0), values)
        return Block(layout, ts, since, (values,), (missing,), moved)


class FormulaSelection(Selection):
    """What a rule that computes a formula reads of one layout.

    What it gives is known only when the layouts of all operands have come: `outputs` is empty, and `results` is what
    its series lie in, for each way in which the operands join. `operands` says for each input which operands read it.
    """

    __slots__ = ("operands", "results", "source")

    def __init__(
        self,
        place: int,
        rule: Rule,
        layout: Layout,
        operands: Mapping[Key, Sequence[int]],
        results: Sequence[Variant],
    ) -> None:
        super().__init__(place, rule, layout, tuple(operands), ())
        self.source: Final = layout
        self.operands: Final = tuple([tuple(places) for places in operands.values()])
        self.results: Final = tuple(results)


def beside(rules: Sequence[Rule], layout: Layout) -> Layout | None:
    """What passes a plugin by itself, whatever becomes of the rest: what no rule selects, and what a rule keeps."""
    passing = []
    for key in layout.keys:
        applied, rest = apply(rules, [key.variant()], same_dimension)
        if rest or any(rules[hit.rule].keeps for hit in applied):
            passing.append(key)
    return layout.restrict(KeySet(passing)) if passing else None


class Bound(NamedTuple):
    """A plugin's rules on one layout: what passes by itself, `None` for nothing, and the selections.

    `parted`: something is taken, but the layout is one of many things, and each of these has its own selections.
    """

    passing: Layout | None
    selections: tuple[Selection, ...]
    parted: bool = False


def row_by_row(rules: Sequence[Rule], layout: Layout, kinds: Collection[str]) -> bool:
    """Whether what a plugin makes of each row is of the thing that the row is of.

    Args: kinds, those of which it treats each row by itself; others that it selects have to be parted.
    """
    for key in layout.keys:
        for hit in apply(rules, [key.variant()], same_dimension)[0]:
            gives = rules[hit.rule].gives
            if key.metric.kind not in kinds:
                return False
            if gives is not None and (
                gives.merge is not None
                or gives.resource
                or gives.consumer
                or gives.tells
                or {"resource", "consumer"} & {*gives.drop}
            ):
                return False
    return True


def same_dimension(one: str, other: str) -> bool:
    """Whether two units measure the same dimension."""
    if one == other:
        return True
    from meter.contracts.order import commensurable  # the contract language; only rules with units need it

    return commensurable(one, other)


def _conversions(rule: Rule, inputs: Sequence[Key]) -> Array | None:
    """Factor and summand of each column, float64[2, k], that bring it into the rule's unit; None where all are."""
    if not rule.unit or rule.computes is not None or all(key.metric.unit == rule.unit for key in inputs):
        return None
    from meter.contracts.language import language  # only rules with another unit need it
    from meter.contracts.units import conversion

    parse = language().units.parse
    return np.array([conversion(parse(key.metric.unit), parse(rule.unit)) for key in inputs]).T


def _scalar(numbers: Array) -> Any:
    """A number where all are equal, which numpy computes with faster."""
    return float(numbers[0]) if (numbers == numbers[0]).all() else numbers


Owner = Callable[[Key, str, tuple[str, ...]], Entity]
"""Of a key the new resource or consumer (the second argument says which), one of some kinds."""


Teller = Callable[[Key, tuple[str, ...]], Mapping[str, str]]
"""Of a key the values of some attributes; those that it does not name are empty."""


def silent(key: Key, names: tuple[str, ...]) -> Mapping[str, str]:
    """What is told where nobody tells anything.

    Raises: ContractBreach.
    """
    facts = {"key": key.said, "metric": key.metric.name, "names": ", ".join(names)}
    raise ContractBreach("", f"{GIVES}.tells", "untold", **facts)


def nobody(key: Key, family: str, kinds: tuple[str, ...]) -> Entity:
    """The owner of what is of the machine only; nobody else is known.

    Raises: ContractBreach.
    """
    if kinds == (MACHINE[0],):
        return MACHINE
    facts = {"key": key.said, "metric": key.metric.name, "family": family, "kinds": "|".join(kinds)}
    raise ContractBreach("", f"{GIVES}.{family}", "owner", **facts)


class Says(NamedTuple):
    """What a filter says of series: whose they are from now on, and what its rules tell of them."""

    owner: Owner = nobody
    teller: Teller = silent


NOTHING_SAID: Final = Says()


def bind(
    label: str, rules: Sequence[Rule], layout: Layout, worst_quality: WorstQuality, says: Says = NOTHING_SAID
) -> Bound:
    """Resolve an instance's rules against a layout.

    Args: `says`, where series go whose rule gives them another resource or consumer, and what its attributes are.
    Raises: ContractBreach, a selected key is not what its rule demands.
    """
    passing: list[Key] = []
    taken: dict[tuple[int, str], tuple[list[Key], list[Variant]]] = {}
    read: dict[int, dict[Key, list[int]]] = {}
    for key in layout.keys:
        applied, rest = apply(rules, [key.variant()], same_dimension)
        if rest:
            passing.append(key)
        for hit in applied:
            rule = rules[hit.rule]
            if rule.computes is not None:
                read.setdefault(hit.rule, {}).setdefault(key, []).append(hit.item)
                continue
            for fault in faults(rule, hit.part, same_dimension):
                facts = {"key": key.said, "metric": key.metric.name, "got": fault.got}
                facts["wanted"] = " or ".join(fault.wanted)
                raise ContractBreach(label, f"needs.metrics.{fault.clause}", "taken", **facts)
            if rule.keeps:
                passing.append(key)
            inputs, given = taken.setdefault((hit.rule, key.metric.type), ([], []))
            inputs.append(key)
            made = give(rule, hit.part, label, worst_quality)
            if made is not None:
                given.append(made)
    selections = []
    for (place, _), (inputs, given) in sorted(taken.items(), key=lambda item: item[0]):
        outputs, groups = _outputs(rules[place], inputs, given, worst_quality, says)
        if len(set(outputs)) < len(outputs):
            twice = next(key for at, key in enumerate(outputs) if key in outputs[:at])
            facts = {"key": twice.said, "metric": twice.metric.name, "count": str(len(inputs))}
            raise ContractBreach(label, GIVES, "merged", **facts)
        selections.append(Selection(place, rules[place], layout, inputs, outputs, groups))
    for place, operands in sorted(read.items()):
        results = tuple(computed(rules[place], label, worst_quality))
        selections.append(FormulaSelection(place, rules[place], layout, operands, results))
    return Bound(layout.restrict(KeySet(passing)) if passing else None, tuple(selections))


def computed(rule: Rule, label: str, worst_quality: WorstQuality) -> Iterator[Variant]:
    """What a rule gives that computes a formula, one for each way in which its operands join."""
    for way in () if rule.computes is None else rule.computes.ways:
        made = give(rule, way.gives, label, worst_quality)
        if made is not None:
            yield made


def _outputs(
    rule: Rule, inputs: Sequence[Key], given: Sequence[Variant], worst_quality: WorstQuality, says: Says
) -> tuple[list[Key], list[int] | None]:
    """The keys that a rule makes of some keys, and into which of them each goes where it merges."""
    keys = [_key(made, key, rule, says) for made, key in zip(given, inputs, strict=False)]
    if not keys or rule.gives is None or rule.gives.merge is None:
        return keys, None
    of: dict[Key, Variant] = {}
    for key, made in zip(keys, given, strict=True):
        known = of.setdefault(key, made)
        if (known.type, known.unit, known.kind) != (made.type, made.unit, made.kind):
            return keys, None  # two things under one name, which is no merging
        of[key] = known.together(made, worst_quality)
    whole = {key: _key(made, key, None, says) for key, made in of.items()}
    place = {key: at for at, key in enumerate(whole)}
    return list(whole.values()), [place[key] for key in keys]


def _key(given: Variant, key: Key, rule: Rule | None, says: Says) -> Key:
    """The key that a rule makes of a key; without a rule the same key with other metadata."""
    resource, consumer, attributes = key.resource, key.consumer, key.attributes
    if rule is not None and rule.gives is not None:
        drop = rule.gives.drop
        resource = _owned(key, "resource", rule.gives.resource, says.owner, dropped="resource" in drop)
        consumer = _owned(key, "consumer", rule.gives.consumer, says.owner, dropped="consumer" in drop)
        kept = [pair for pair in attributes if pair[0] not in drop]
        told: list[tuple[str, str]] = []
        if rule.gives.tells:
            values = says.teller(key, rule.gives.tells)
            told = [(name, values.get(name, "")) for name in rule.gives.tells]
        attributes = tuple(sorted([*kept, *rule.gives.attributes, *told]))
    return Key(
        Metric.of(given),
        resource,
        consumer,
        attributes,
    )


def _owned(key: Key, family: str, kinds: tuple[str, ...], owner: Owner, *, dropped: bool) -> Entity:
    """The resource or consumer of what a rule makes of a key.

    Raises: ContractBreach, the filter names one of another kind.
    """
    if kinds:
        made = owner(key, family, kinds)
        if made[0] not in kinds:
            facts = {"key": key.said, "metric": key.metric.name, "family": family, "kinds": "|".join(kinds)}
            raise ContractBreach("", f"{GIVES}.{family}", "owner", **facts)
        return made
    have: Entity = key.resource if family == "resource" else key.consumer
    return MACHINE if dropped else have
