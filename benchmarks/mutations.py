"""`python -m benchmarks.mutations [--some] [--page]`: faults planted into sound mounts, and what becomes of each.

One clause of a contract or one word of a mount file is changed at a time, in the good twins of the misconfigurations,
the example mounts and every contract that they use. Of one fault, which is one cause, errors of one code may be said;
of two in different places of a mount file those of both. Ends with 1 where a fault survives that nothing explains,
where other errors are said, or where a reason explains nothing. All of them take some minutes; `--some` plants the part
that the tests plant, `--page` writes the table into docs/misconfigurations.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.mutations.causes import BESIDES, BOTH_TRUE, HIDDEN, Pairs, several
from tests.mutations.census import Census, census, subset
from tests.mutations.judge import VERDICTS, faults
from tests.mutations.reasons import reasons

PAGE: Final = Path(__file__).parents[1] / "docs" / "misconfigurations.md"
FEW: Final = 20
"""So many pairs of faults are planted in each mount file with `--some`."""
_BEGIN: Final = "<!-- written by python -m benchmarks.mutations --page -->\n"
_END: Final = "<!-- end of the table -->\n"


def table(found: Census) -> Iterator[str]:
    """The counts as a table of Markdown, then the reasons of those that survived."""
    yield f"| fault | planted | {' | '.join(VERDICTS)} |"
    yield "|---|---:|" + "---:|" * len(VERDICTS)
    for kind in (*found.kinds(), ""):
        counts = [found.of(kind, word) for word in VERDICTS]
        yield f"| {kind or '**all**'} | {sum(counts)} | {' | '.join(map(str, counts))} |"
    yield ""
    yield "| survivors | why |"
    yield "|---:|---|"
    for reason, count in found.reasons.most_common():
        yield f"| {count} | {reason.why} |"


def main(words: Sequence[str]) -> int:
    """Plant the faults and print what became of them; the exit code."""
    begin = time.monotonic()
    whole = "--some" not in words
    found = census(faults() if whole else subset())
    lines = list(table(found))
    print("\n".join(lines))
    print(f"\n{sum(found.counts.values())} faults in {time.monotonic() - begin:.0f} s")
    for fault, verdict in found.unexplained:
        print(f"unexplained, {verdict.word}: {fault.clause}: {fault.said}")
    stale = [reason for reason in reasons() if whole and reason not in found.reasons]
    for old in stale:
        print(f"explains nothing: {', '.join(old.clauses)}: {old.why}")
    said = list(several(faults() if whole else subset()))
    print(f"{len(said)} of them with errors of several codes")
    apart = [each for each in said if each.why is None]
    for each in apart:
        print(f"several codes, {', '.join(each.codes)}: {each.mount}: {each.fault.said}")
    idle = [each.why for each in BOTH_TRUE if whole and all(one.why != each for one in said)]
    pairs = Pairs()
    wrong = list(pairs.wrong(None if whole else FEW))
    print(f"{pairs.planted} pairs of faults in {time.monotonic() - begin:.0f} s")
    for pair in wrong:
        print(f"hidden {pair.hidden}, besides {pair.besides}: {pair.one.said} AND {pair.other.said}")
    idle += [each.why for each in HIDDEN if whole and each not in pairs.needed]
    idle += [why for code, why in BESIDES.items() if whole and code not in pairs.needed]
    for why in idle:
        print(f"explains nothing: {why}")
    if "--page" in words:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(_BEGIN)
        after = rest.partition(_END)[2]
        PAGE.write_text(before + _BEGIN + "\n" + "\n".join(lines) + "\n\n" + _END + after, encoding="utf-8")
    return 1 if found.unexplained or stale or apart or wrong or idle else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
