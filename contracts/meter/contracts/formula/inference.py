"""What a formula gives: its unit, whether it is a delta or a gauge, which series it has, and whether they add up.

Every quantity has a degree in time and in each dimension of its key: 1 where the values of its parts add up to that of
the whole, 0 where they do not. A product has the sum of the degrees of its factors, what divides is subtracted. So
joules of a package times seconds of a process by seconds of the machine have degree 1 in time, packages and
processes: their sum over all processes is what the packages used. Joules times seconds of a mode by seconds of a mode
have the right unit, yet degree 0 in the mode: summed over modes, the joules are counted once for each.

A formula that divides an amount among what it was not measured of, as the joules of a package among processes, says by
what it is divided, and nobody has measured that it is so: the result is an estimate, whatever its inputs are.

Of a resource, and of a consumer, each kind below the root is a dimension: the value of a package is the same for each
of its cores. A share has degree 1 in the dimensions that it alone has, so that it divides among them what it is
multiplied with, and degree 0 in the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Final, NamedTuple

from meter.contracts.diagnostics import listed
from meter.contracts.doubling import KINDS
from meter.contracts.formula.additions import added, adds_up, twice
from meter.contracts.formula.faults import FormulaFault, fault
from meter.contracts.formula.formulas import Formula, Node, Number, Product, Reading, Sum
from meter.contracts.formula.joins import MOST, Joined, Piece, Pieces, Unjoined, join, lineage, pieces, pinned
from meter.contracts.language import language
from meter.contracts.rules import Operand, Taken
from meter.contracts.units import Unit, UnitError, commensurable, product
from meter.contracts.variants import MACHINE, Parts, Variant, both

Dimension = tuple[str, str]
"""`resource` or `consumer` with a kind, or the empty text with an attribute."""


class Derived(NamedTuple):
    """What a selector brings into a formula: its unit, and its degrees in time and in each dimension."""

    text: str
    unit: str
    time: int
    degrees: tuple[tuple[Dimension, int], ...]


class Inferred(NamedTuple):
    """What a formula gives.

    `variants` have no name and no origin; no two of them have a series in common, and `takes` says for each what of
    every reading takes part. Each reading is multiplied with the factor of its operand, then the formula is computed,
    and what comes out is multiplied with `ratio` into base units. A factor is 1 but for shares in `%` and where metrics
    of different scales are added. The rows are those of the reading at the place `lead`.
    """

    variants: tuple[Variant, ...]
    takes: tuple[tuple[Taken, ...], ...]
    unit: Unit
    operands: tuple[Operand, ...]
    ratio: Fraction
    lead: int
    derived: tuple[Derived, ...]

    @property
    def factors(self) -> tuple[float, ...]:
        """What each reading is multiplied with."""
        return tuple(operand.factor for operand in self.operands)

    def scale(self, unit: Unit) -> float:
        """What the result is multiplied with to be in a unit.

        Raises: UnitError, it measures something else, or has an offset.
        """
        if unit.shift or not commensurable(self.unit, unit):
            raise UnitError(unit.text, 0)
        return float(self.ratio / unit.ratio)


class Refused(NamedTuple):
    """Why a formula gives nothing, and what its selectors bring, as far as that is known."""

    faults: tuple[FormulaFault, ...]
    derived: tuple[Derived, ...] = ()


def infer(formula: Formula, hits: Sequence[Sequence[Variant]]) -> Inferred | Refused:
    """What a formula gives over the parts that each of its selectors takes.

    A cause is said once: degrees are judged where units and keys are sound. The result does not depend on the order of
    the parts, nor on that of factors and terms.
    """
    faults = [each for reading in formula.readings for each in _reads(reading, hits[reading.place])]
    faults = faults or list(itertools.islice(added(formula.root, hits), 1))
    if faults:
        return Refused(tuple(faults))
    computed = _Units(formula, hits)
    try:
        unit = computed.unit(formula.root)
    except UnitError as error:
        return Refused((fault("E-FLOW-UNIT", "large", [formula.root], got=error.text),))
    inputs = [_pieces(reading, hits[reading.place]) for reading in formula.readings]
    ways = _join(formula, inputs)
    derived = tuple(_derived(reading, hits[reading.place], inputs[reading.place]) for reading in formula.readings)
    if computed.faults:
        return Refused(tuple(computed.faults), derived)
    if isinstance(ways, Unjoined):
        return Refused((_unjoined(formula, ways),), derived)
    additive = True
    divided: list[bool] = []
    time = 0
    for way in ways:
        degrees = _Degrees(formula, hits, way.pieces)
        found = degrees.whole()
        if isinstance(found, FormulaFault):
            return Refused((found,), derived)
        time = found.time
        additive &= bool(found.degrees) and all(found.degrees.values())
        divided.append(degrees.divides(formula.root))
    kind = _kind(time)
    every = sorted((hit for each in hits for hit in each), key=lambda hit: str(hit.to_json()))
    qualities = [hit.quality for hit in every]
    if not isinstance(formula.root, Reading) or formula.root.function:
        qualities.append(_quality("computed"))
    operands = tuple(_operands(formula, hits, computed))
    lead = _lead(formula, operands)
    variants = tuple(
        Variant(
            metric="",
            type="f64",
            unit=unit.text,
            kind=kind,
            additive=additive or language().says("kind", kind, "additive"),
            resource=frozenset({way.resource}),
            consumer=frozenset({way.consumer}),
            attributes=way.attributes,
            quality=language().worst_quality(*qualities, *([_quality("divided")] if is_divided else ())),
            interval=operands[lead].interval,
            via=frozenset().union(*(hit.via for hit in every)),
            parts=_parts_of(every, {name for name, _ in way.attributes}),
            sums=frozenset(adds_up(formula.root, hits, way)),
        )
        for way, is_divided in zip(ways, divided, strict=True)
    )
    ratio = Fraction(1) if computed.mixed else unit.ratio
    takes = tuple(
        tuple(Taken(piece.resource, piece.consumer, tuple(sorted(piece.names))) for piece in way.pieces) for way in ways
    )
    return Inferred(variants, takes, unit, operands, ratio, lead, derived)


def _operands(formula: Formula, hits: Sequence[Sequence[Variant]], units: _Units) -> Iterator[Operand]:
    """What each reading brings, as those who compute need it."""
    for reading, factor in zip(formula.readings, units.factors(), strict=True):
        own = hits[reading.place]
        yield Operand(
            factor,
            _sums(reading),
            _shares(reading),
            () if _sums(reading) else tuple(sorted(pinned(own))),
            bool(_time(own[0].kind)),
            tuple(sorted({hit.origin for hit in own})),
            max(hit.interval for hit in own),
        )


def _lead(formula: Formula, operands: Sequence[Operand]) -> int:
    """The reading whose rows the result has: the slowest delta, as spans can be put together and not be made up.

    A gauge is there at any instant, and leads only where there is no delta. Which one it is does not depend on the
    order of factors and terms.
    """
    spans = [place for place, operand in enumerate(operands) if operand.delta] or range(len(operands))
    return min(spans, key=lambda place: (-operands[place].interval, formula.readings[place].selector.text, place))


def _quality(word: str) -> str:
    """The first quality that has a word of the language, such as `computed`."""
    return next(each for each in language().values("quality") if language().says("quality", each, word))


def _kind(time: int) -> str:
    """The kind of metric that has a degree in time."""
    kinds = language().words["kind"]
    return next(kind for kind, says in kinds.items() if says.get("degree") == str(time))


def _time(kind: str) -> int | None:
    """The degree in time of a kind; a counter has none, since its value alone says nothing of a span."""
    degree = language().words["kind"][kind].get("degree")
    return None if degree is None else int(degree)


def _parts_of(hits: Sequence[Variant], attributes: Collection[str]) -> Parts:
    """Which values of some attributes are parts of others, as any of the inputs says."""
    found: Parts = ()
    for hit in hits:
        found = both(found, tuple(pair for pair in hit.parts if pair[0] in attributes))
    return found


# ------------------------------------------------------------------------------------------------------- one selector


def _sums(reading: Reading) -> bool:
    return bool(reading.function) and language().says("function", reading.function, "sums")


def _shares(reading: Reading) -> bool:
    return bool(reading.function) and not _sums(reading)


def _pieces(reading: Reading, hits: Sequence[Variant]) -> Pieces:
    """What a selector takes, with what of its key is left in the formula."""
    return pieces(hits, None if _sums(reading) else pinned(hits))


def _reads(reading: Reading, hits: Sequence[Variant]) -> Iterator[FormulaFault]:
    """What is wrong with the parts that one selector takes; the first fault."""
    metric = f"`{reading.selector.text}`"
    if not hits:
        yield fault("E-FLOW-EMPTY", "", [reading], selector=reading.selector.text)
        return
    shapes = sorted({(hit.unit, hit.kind) for hit in hits})
    if len(shapes) > 1:
        facts = {"this": ", ".join(shapes[0]), "that": ", ".join(shapes[1])}
        yield fault("E-FLOW-CLASH", "formula", [reading], metric=metric, **facts)
        return
    unit, kind = language().units.parse(shapes[0][0]), shapes[0][1]
    if _time(kind) is None:
        yield fault("E-FLOW-KIND", "formula", [reading], metric=metric, kind=kind)
    elif unit.shift:
        yield fault("E-FLOW-UNIT", "summand", [reading], metric=metric, got=unit.text)
    elif _sums(reading):
        if not all(hit.additive for hit in hits):
            yield fault("E-FLOW-KIND", "sum", [reading], metric=metric)
        else:
            yield from itertools.islice(twice(reading, hits), 1)
    elif _shares(reading):
        if unit.dimension:
            yield fault("E-FLOW-UNIT", "share", [reading], metric=metric, got=unit.text)
        elif _time(kind):
            yield fault("E-FLOW-KIND", "share", [reading], metric=metric, got=f"`{kind}`")


# ------------------------------------------------------------------------------------------------------------- units


_ONE: Final = Unit((), Fraction(1), text="1")


class _Units:
    """The units of a formula's nodes; `mixed`: metrics of different scales are added somewhere."""

    def __init__(self, formula: Formula, hits: Sequence[Sequence[Variant]]) -> None:
        self.formula = formula
        self.units = [language().units.parse(each[0].unit) for each in hits]
        self.faults: list[FormulaFault] = []
        self.mixed = False

    def factors(self) -> Iterator[float]:
        """What each reading is multiplied with before the formula is computed."""
        for reading, unit in zip(self.formula.readings, self.units, strict=True):
            yield float(unit.ratio) if self.mixed or _shares(reading) else 1.0

    def unit(self, node: Node) -> Unit:
        """The unit of a node.

        Raises: UnitError, its scale is beyond what a unit can have.
        """
        match node:
            case Number():
                return _ONE
            case Reading():
                return _ONE if _shares(node) else self.units[node.place]
            case Product():
                return product((self.unit(factor), sign) for sign, factor in node.factors)
        units = [self.unit(term) for _, term in node.terms]
        for (_, term), unit in zip(node.terms[1:], units[1:], strict=True):
            if not commensurable(units[0], unit):
                nodes = [term, node.terms[0][1]]
                self.faults.append(fault("E-FLOW-UNIT", "terms", nodes, got=unit.text, wanted=units[0].text))
                break
        self.mixed |= len({unit.ratio for unit in units}) > 1
        return min(units, key=lambda unit: (unit.ratio, len(unit.text), unit.text))


# ----------------------------------------------------------------------------------------------------------- degrees


class _Degree(NamedTuple):
    """Degrees in time and in each dimension that is carried, 0 included; and the shares of a product, with signs."""

    time: int
    degrees: dict[Dimension, int]
    shares: tuple[tuple[int, frozenset[Dimension]], ...] = ()

    def settled(self) -> _Degree:
        """With the degrees that its shares have in this product."""
        degrees = dict(self.degrees)
        for sign, dimensions in self.shares:
            for dimension in dimensions:
                degrees[dimension] = degrees.get(dimension, 0) + (0 if dimension in self.degrees else sign)
        return _Degree(self.time, degrees)


class _Degrees:
    """The degrees of a formula's nodes, for one way in which its inputs join."""

    def __init__(self, formula: Formula, hits: Sequence[Sequence[Variant]], chosen: Sequence[Piece]) -> None:
        self.formula = formula
        self.kinds = [each[0].kind for each in hits]
        self.chosen = chosen
        self.fault: FormulaFault | None = None

    def whole(self) -> _Degree | FormulaFault:
        """The degrees of the result, or why its values do not add up."""
        found = self.of(self.formula.root).settled()
        return self.fault or self._wrong(found) or found

    def divides(self, node: Node) -> bool:
        """Whether an amount is divided among what tells the values of the result apart, and not its own."""
        match node:
            case Number() | Reading():
                return False
            case Sum():
                return any(self.divides(term) for _, term in node.terms)
        whole = {dimension for dimension, degree in self.of(node).settled().degrees.items() if degree > 0}
        return any(
            self.divides(factor) or (sign > 0 and self._is_amount(factor) and whole - self.of(factor).degrees.keys())
            for sign, factor in _factors(node, 1)
        )

    def _is_amount(self, node: Node) -> bool:
        """Whether values of a node add up to a whole that can be divided, other than those of a ratio or a price."""
        match node:
            case Number():
                return False
            case Reading():
                return self.chosen[node.place].additive and not _shares(node)
            case Sum():
                return any(self._is_amount(term) for _, term in node.terms)
        return sum(sign for sign, factor in _factors(node, 1) if self._is_amount(factor)) > 0

    def of(self, node: Node) -> _Degree:
        """The degrees of a node; those of a sum are its first term's where its terms have not the same."""
        match node:
            case Number():
                return _Degree(0, {})
            case Reading():
                return self._reading(node)
            case Product():
                return self._product(node)
        terms = [(term, self.of(term).settled()) for _, term in node.terms]
        first, degree = terms[0]
        for term, other in terms[1:]:
            self.fault = self.fault or self._unequal(first, degree, term, other)
        carried = dict.fromkeys((dimension for _, other in terms for dimension in other.degrees), 0)
        return _Degree(degree.time, carried | degree.degrees)

    def _reading(self, node: Reading) -> _Degree:
        piece = self.chosen[node.place]
        dimensions = list(_dimensions(piece))
        if _shares(node):
            return _Degree(0, {}, ((1, frozenset(dimensions)),))
        return _Degree(_time(self.kinds[node.place]) or 0, dict.fromkeys(dimensions, int(piece.additive)))

    def _product(self, node: Product) -> _Degree:
        time = 0
        degrees: dict[Dimension, int] = {}
        shares: list[tuple[int, frozenset[Dimension]]] = []
        for sign, factor in node.factors:
            found = self.of(factor)
            time += sign * found.time
            for dimension, degree in found.degrees.items():
                degrees[dimension] = degrees.get(dimension, 0) + sign * degree
            shares += [(sign * inner, dimensions) for inner, dimensions in found.shares]
        return _Degree(time, degrees, tuple(shares))

    def _unequal(self, first: Node, degree: _Degree, term: Node, other: _Degree) -> FormulaFault | None:
        """Two terms of which the one adds up over something and the other does not."""
        if degree.time != other.time:
            facts = {"degree": str(other.time), "other": str(degree.time)}
            return fault("E-FLOW-KIND", "terms", [term, first], **facts)
        for dimension in sorted({*degree.degrees, *other.degrees}):
            mine, theirs = degree.degrees.get(dimension, 0), other.degrees.get(dimension, 0)
            if mine != theirs:
                facts = {"degree": str(theirs), "other": str(mine), "dimension": dimension[1]}
                return fault("E-FLOW-DOUBLE", "terms", [term, first], **facts)
        return None

    def _wrong(self, found: _Degree) -> FormulaFault | None:
        """A result that adds up over time or a dimension more than once, or over time and not over its dimensions."""
        if found.time not in (0, 1):
            return fault("E-FLOW-KIND", "time", [self.formula.root], degree=str(found.time))
        for dimension, degree in sorted(found.degrees.items()):
            if degree in (0, 1) and degree >= found.time:
                continue
            carrying = [
                reading for reading in self.formula.readings if dimension in _dimensions(self.chosen[reading.place])
            ]
            uneven = [r for r in carrying if not _shares(r) and not self.chosen[r.place].additive]
            way = "apart" if dimension[0] else "sum"
            if uneven and (not dimension[0] or len(carrying) == 1):
                way = "uneven" if _time(self.kinds[uneven[-1].place]) else "share"
            named = uneven[-1] if way in ("uneven", "share") else carrying[-1]
            facts = {"degree": str(degree), "dimension": dimension[1], "selector": named.selector.text, "way": way}
            others = [reading for reading in carrying if reading is not named]
            return fault("E-FLOW-DOUBLE", "degree", [named, *others], **facts)
        return None


def _factors(node: Node, sign: int) -> Iterator[tuple[int, Number | Reading | Sum]]:
    """The factors of a product and of those in it, with -1 for one that divides."""
    if isinstance(node, Product):
        for inner, factor in node.factors:
            yield from _factors(factor, sign * inner)
    else:
        yield sign, node


def _dimensions(piece: Piece) -> Iterator[Dimension]:
    """The dimensions that a piece's key has."""
    for family, kind in zip(KINDS, piece.kinds, strict=True):
        for each in lineage(family, kind)[:-1]:
            yield family, each
    for name, _ in piece.attributes:
        yield "", name


def _join(formula: Formula, inputs: Sequence[Pieces]) -> list[Joined] | Unjoined:
    """How the inputs join; a metric that is read twice in one way joins with itself."""
    keys = [(r.selector.glob, each) for r, each in zip(formula.readings, inputs, strict=True)]
    distinct = list(dict.fromkeys(keys))
    place = [distinct.index(key) for key in keys]
    ways = join([each for _, each in distinct])
    if isinstance(ways, Unjoined):
        return ways._replace(first=place.index(ways.first), second=place.index(ways.second))
    return [way._replace(pieces=tuple(way.pieces[at] for at in place)) for way in ways]


def _derived(reading: Reading, hits: Sequence[Variant], each: Pieces) -> Derived:
    """What one selector brings into its formula."""
    shares = _shares(reading)
    degrees = {dimension: shares or piece.additive for piece in each for dimension in _dimensions(piece)}
    text = f"{reading.function}({reading.selector.text})" if reading.function else reading.selector.text
    return Derived(
        text,
        _ONE.text if shares else hits[0].unit,
        0 if shares else _time(hits[0].kind) or 0,
        tuple((dimension, int(degree)) for dimension, degree in sorted(degrees.items())),
    )


def _unjoined(formula: Formula, ways: Unjoined) -> FormulaFault:
    """E-FLOW-IDENTITY, or E-FLOW-LIMIT where there are too many ways to say."""
    if ways.why == "many":
        return fault("E-FLOW-LIMIT", "formula", [formula.root], limit=str(MOST))
    first, second = (formula.readings[place] for place in (ways.first, ways.second))
    these, those = listed(ways.these), listed(ways.those)
    if ways.why == "nearest":
        these, those = ",".join(ways.these), ",".join(ways.those)
    facts = {"first": first.selector.text, "second": second.selector.text, "dimension": ways.dimension}
    nodes = [first] if first is second else [second, first]
    return fault("E-FLOW-IDENTITY", ways.why, nodes, **facts, these=these, those=those)


# ---------------------------------------------------------------------------------------------------------- ordering


def possible(formula: Formula, hits: Sequence[Sequence[Variant]]) -> tuple[Variant, ...]:
    """What a formula could give, as far as the order of a chain needs it.

    Also an ill-typed formula orders those that read it: where its inputs do not join, it could have any of their kinds.
    `hits` are parts of all metrics that could exist; nothing where one of the selectors has none.
    """
    if not all(hits):
        return ()
    inputs = [_pieces(reading, hits[reading.place]) for reading in formula.readings]
    ways = _join(formula, inputs)
    if isinstance(ways, Unjoined):
        every = [piece for each in inputs for piece in each]
        ways = [Joined((), piece.resource, piece.consumer, piece.attributes) for piece in every]
    unit = ""
    with suppress(UnitError):  # beyond what a unit can have: the flow says so
        unit = _Units(formula, [sorted(each, key=lambda hit: hit.unit) for each in hits]).unit(formula.root).text
    times = _times(formula.root, [sorted({hit.kind for hit in each}) for each in hits]) & {0, 1}
    via = frozenset().union(*(hit.via for each in hits for hit in each))
    return tuple(
        Variant("", "f64", unit, _kind(time), True, frozenset({resource}), frozenset({consumer}), attributes, via=via)
        for time in sorted(times or {0, 1})
        for _, resource, consumer, attributes in ways
    )


def anything() -> tuple[Variant, ...]:
    """What a formula could give of which nothing is known: any kind of metric that formulas give."""
    return tuple(Variant("", "f64", "", _kind(time), True, MACHINE, MACHINE) for time in (0, 1))


def _times(node: Node, kinds: Sequence[Sequence[str]]) -> set[int]:
    """The degrees in time that a node can have."""
    match node:
        case Number():
            return {0}
        case Reading():
            return {0} if _shares(node) else {_time(kind) or 0 for kind in kinds[node.place]}
        case Sum():
            return set().union(*(_times(term, kinds) for _, term in node.terms))
    found = {0}
    for sign, factor in node.factors:
        found = {one + sign * other for one in found for other in _times(factor, kinds)}
    return found
