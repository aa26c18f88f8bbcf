"""Fuzzing: broken contracts, mount files and chains through reader and checker; `python -m benchmarks.fuzz`.

An input, of which `benchmarks.inputs` has the kinds, is read, and where something can be checked it is checked.
Whatever it is, the answer has to be a plan or diagnostics that are complete and whose places lie in the text, in
little time. The inputs depend on seed and number alone. Ends with 1 if any fails, and prints it with its number.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import resource
import sys
import time
import traceback
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmarks import scenes, toml
from benchmarks.figure import Figure
from benchmarks.inputs import CONTRACT, MOUNTS, Input, builtin, made, mount_of
from meter.contracts.catalogue import Catalogue, Entry
from meter.contracts.check import check
from meter.contracts.diagnostics import Diagnostic
from meter.contracts.documents import parse_toml
from meter.contracts.language import language
from meter.contracts.model import Source
from meter.contracts.mount_tables import from_document
from meter.contracts.reader import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

INPUTS: Final = 100_000
FEWER: Final = 20_000
"""As many are tried where all benchmarks run."""
SLOW_S: Final = 2.0
"""CPU seconds that no input may take."""
SHOWN: Final = 5
"""Failures that are printed."""
CHUNK: Final = 500
"""Inputs that a worker takes at a time."""

_FACT: Final = re.compile(r"\$\{(?!metric|unit)\w+\}")
"""What a sentence has where a fact was forgotten."""


class Outcome(NamedTuple):
    """What came of an input: codes of errors, whether there was a plan or a contract, CPU seconds, what failed."""

    how: str
    codes: frozenset[str]
    sound: bool
    seconds: float
    failure: str
    number: int


# --------------------------------------------------------------------------------------------------------------- tries


def tried(number: int, seed: int) -> Outcome:
    """Read and check an input; whatever goes wrong is the outcome's failure."""
    given = made(number, seed)
    begin = time.process_time()
    found: list[Diagnostic] = []
    sound, failure = False, ""
    try:
        sound = _mounted(given, found) if given.is_mount else _contract(given, found)
        failure = next(filter(None, (_complaint(diagnostic, given) for diagnostic in found)), "")
        if not sound and not any(diagnostic.level == "error" for diagnostic in found):
            failure = "neither sound nor refused"
    except Exception:  # noqa: BLE001  (that is what is looked for)
        failure = traceback.format_exc(limit=-6)
    seconds = time.process_time() - begin
    if not failure and seconds > SLOW_S:
        failure = f"took {seconds:.1f} s"
    codes = frozenset(each.code for each in found if each.level == "error") if not failure else frozenset[str]()
    return Outcome(given.how, codes, sound, seconds, failure, number)


def _contract(given: Input, found: list[Diagnostic]) -> bool:
    """Read a contract, and mount it where it can be read; whether it was sound so far."""
    result = read(given.text, CONTRACT)
    found += result.diagnostics
    contract = result.contract
    if contract is None:
        return False
    entry = Entry(name=contract.name, path=CONTRACT, contract=contract, diagnostics=result.diagnostics)
    catalogue = Catalogue(entries={**_others(given), contract.name: (entry,)})
    body = mount_of(contract.name, contract.placement) if given.others is None else given.others.request
    document = {"mounts": {"/host": body}}
    text = toml.document(document)
    requests, faults = from_document(document, Source("made.toml", text))
    assert not faults, faults[0].message
    checked = check(requests["/host"], catalogue, scenes.Partly())
    found += [each for each in checked.diagnostics if each not in found]
    return checked.plan is not None and bool(checked.plan.to_bytes())


def _mounted(given: Input, found: list[Diagnostic]) -> bool:
    """Read a mount file and check each of its mounts; whether all are sound."""
    parsed = parse_toml(given.text, MOUNTS)
    if isinstance(parsed, Diagnostic):
        found.append(parsed)
        return False
    document, text = parsed
    requests, faults = from_document(document, Source(MOUNTS, text))
    found += faults
    sound = not any(fault.level == "error" for fault in faults)
    for request in requests.values():
        checked = check(request, Catalogue(entries=_others(given)), scenes.Partly())
        found += [each for each in checked.diagnostics if each not in found]
        sound &= checked.plan is not None and bool(checked.plan.to_bytes())
    return sound


def _others(given: Input) -> Mapping[str, tuple[Entry, ...]]:
    """The contracts beside the input: those of its chain, or the built-in ones."""
    return builtin() if given.others is None else Catalogue.of(scenes.files(given.others)).entries


def _complaint(diagnostic: Diagnostic, given: Input) -> str:
    """What is wrong with a diagnostic: it is not complete, or points out of its text."""
    document = diagnostic.to_json()
    texts = {MOUNTS if given.is_mount else CONTRACT: given.text.decode(errors="surrogateescape")}
    said = f"{document['code']}: {document['message']}"
    sentences = " ".join([document["message"], document["help"] or "", *document["notes"]])
    descriptions = {clause.description for clause in language().clauses.values()}  # some tell of placeholders
    told = "".join(diagnostic.facts.values())  # a fact may be a placeholder, such as one that a clause should hold
    left = [word for word in _FACT.findall(sentences) if word.encode() not in given.text and word not in told]
    if left := [word for word in left if not any(word in each and each in sentences for each in descriptions)]:
        return f"{left[0]} is missing: {said}"
    if not document["spans"] or not document["message"]:
        return f"it has no place or no text: {said}"
    for span in document["spans"]:
        text = texts.get(span["file"])
        if text is not None and not _inside(span, text):
            return f"{span} is not in the text: {said}"
    return ""


def _inside(span: Mapping[str, Any], text: str) -> bool:
    lines = text.split("\n")
    if not 1 <= span["line"] <= len(lines):
        return False
    line = lines[span["line"] - 1]
    rest = len(line) - (span["column"] - 1) + sum(len(each) + 1 for each in lines[span["line"] :])
    return bool(1 <= span["column"] <= len(line) + 1 and 1 <= span["length"] <= max(1, rest))


# --------------------------------------------------------------------------------------------------------------- table


class Summary:
    """Outcomes, counted."""

    def __init__(self) -> None:
        self.by_how: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.sound = 0
        self.slowest = (0.0, 0)
        self.failures: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.by_how[outcome.how] += 1
        self.codes.update(outcome.codes)
        self.sound += outcome.sound
        self.slowest = max(self.slowest, (outcome.seconds, outcome.number))
        if outcome.failure:
            self.failures.append(outcome)

    @property
    def inputs(self) -> int:
        """How many there were."""
        return self.by_how.total()


def _chunk(numbers: range, seed: int) -> tuple[list[Outcome], int]:
    return [tried(number, seed) for number in numbers], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measured(inputs: int, seed: int, jobs: int = 1) -> tuple[Summary, float]:
    """Try so many inputs in so many processes; the summary, and the peak memory of one process in MiB."""
    summary, peak = Summary(), 0
    chunks = [range(first, min(first + CHUNK, inputs)) for first in range(0, inputs, CHUNK)]
    run = partial(_chunk, seed=seed)
    results: Iterable[tuple[list[Outcome], int]]
    if jobs == 1:
        results = map(run, chunks)
        for outcomes, memory in results:
            peak = max(peak, memory)
            for outcome in outcomes:
                summary.add(outcome)
        return summary, peak / 1024
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for outcomes, memory in pool.imap(run, chunks):
            peak = max(peak, memory)
            for outcome in outcomes:
                summary.add(outcome)
    return summary, peak / 1024


def table(summary: Summary, peak: float, seed: int) -> Iterator[str]:
    """The lines that are printed."""
    yield f"{summary.inputs:>8,}  inputs, seed {seed}"
    for how, count in sorted(summary.by_how.items()):
        yield f"{count:>8,}    {how}"
    yield f"{summary.sound:>8,}  accepted"
    yield f"{summary.inputs - summary.sound - len(summary.failures):>8,}  refused, with"
    for code, count in summary.codes.most_common():
        yield f"{count:>8,}    {code}"
    yield f"{summary.slowest[0] * 1e3:>8,.0f}  ms of CPU took the slowest, number {summary.slowest[1]}"
    yield f"{peak:>8,.0f}  MiB at most"
    yield f"{len(summary.failures):>8,}  failed"
    for outcome in summary.failures[:SHOWN]:
        yield f"\nnumber {outcome.number}, {outcome.how}: {outcome.failure}"


def figures() -> Iterator[Figure]:
    """The inputs that failed, and the slowest of all."""
    summary, peak = measured(FEWER, 1, os.cpu_count() or 1)
    note = f"of {summary.inputs:,}: {summary.sound:,} accepted, {len(summary.codes)} codes; {peak:.0f} MiB"
    yield Figure("inputs that failed", len(summary.failures), None, "", "", 0, "", note=note)
    yield Figure("  the slowest of them", summary.slowest[0], None, "", "s", SLOW_S, "s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if an input failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=INPUTS, metavar="N", help=f"how many; {INPUTS} if it is not said")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="other inputs for another number")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument("--only", type=int, metavar="N", help="try the input of this number and print it")
    asked = parser.parse_args(arguments)
    if asked.only is not None:
        outcome = tried(asked.only, asked.seed)
        print(made(asked.only, asked.seed).text.decode(errors="backslashreplace"))
        print(f"\n{outcome.how}: {' '.join(sorted(outcome.codes)) or 'accepted'} {outcome.failure}")
        return 1 if outcome.failure else 0
    summary, peak = measured(asked.inputs, asked.seed, asked.jobs)
    print("\n".join(table(summary, peak, asked.seed)))
    return 1 if summary.failures else 0


if __name__ == "__main__":
    sys.exit(main())
