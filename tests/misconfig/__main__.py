"""`python -m tests.misconfig` writes docs/misconfigurations.md anew, with what the check says now."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.misconfig.cases import Case, cases, printed, result

PAGE: Final = Path(__file__).parents[2] / "docs" / "misconfigurations.md"
_BEGIN: Final = "<!-- written by python -m tests.misconfig -->\n"
_END: Final = "<!-- end of what is written -->\n"
_SOURCE: Final = "https://github.com/"


def anchor(case: Case) -> str:
    """What a link to the case's part of the page names."""
    return f"case-{case.id.lower()}"


def written() -> str:
    """The part of the page that is made of the cases."""
    rows = ["| case | what is wrong | meter says |", "|---|---|---|"]
    rows += [f"| [{case.id}](#{anchor(case)}) | {case.title} | {_said(case)} |" for case in cases()]
    parts = "\n".join(line for case in cases() for line in _part(case))
    return "\n".join(rows) + "\n\n" + parts


def _said(case: Case) -> str:
    return f"`{case.code}`" if case.code else "seen while running"


def _part(case: Case) -> Iterator[str]:
    """The part of one case."""
    yield f"({anchor(case)})="
    yield f"### {case.id} {case.title}"
    yield ""
    links = ", ".join(f"[{_short(link)}]({link})" for link in case.links)
    yield f"{case.tools}{f' Reports: {links}.' if links else ''}"
    yield ""
    if case.code:
        yield f"`{case.file('bad').name}`:"
        yield ""
        yield from _block("toml", case.file("bad").read_text(encoding="utf-8"))
        if case.bad:
            answers = "; ".join(f"`{question}`: `{answer}`" for question, answer in case.bad.items())
            yield f"On a host that answers {answers}."
            yield ""
        yield from _block("text", printed(result(case, "bad")[1]))
    if case.running:
        yield f"{case.running}"
        if case.tests:
            tests = ", ".join(f"`{test.rpartition('/')[2]}`" for test in case.tests)
            yield f"Tests: {tests}."
        yield ""
    if case.file("good").exists():
        yield from _twin(case)


def _twin(case: Case) -> Iterator[str]:
    """What is other in the good twin."""
    good = case.file("good").read_text(encoding="utf-8").splitlines()
    bad = case.file("bad").read_text(encoding="utf-8").splitlines() if case.file("bad").exists() else []
    changed = [line for line in good if line not in bad]
    if not changed and case.bad:
        yield f"The good twin is the same file on a host that has what it needs (`{case.file('good').name}`)."
        yield ""
    elif not changed:
        gone = [line for line in bad if line not in good]
        yield f"The good twin, `{case.file('good').name}`, does without this:"
        yield ""
        yield from _block("toml", "\n".join(gone))
    else:
        yield f"In the good twin, `{case.file('good').name}`:" if bad else f"`{case.file('good').name}`:"
        yield ""
        yield from _block("toml", "\n".join(changed))


def _block(language: str, text: str) -> Iterator[str]:
    yield f"```{language}"
    yield text.rstrip("\n")
    yield "```"
    yield ""


def _short(link: str) -> str:
    """A link as a person names it: `owner/name#number`."""
    found = re.fullmatch(rf"{re.escape(_SOURCE)}([^/]+/[^/]+)/(?:issues|pull)/(\d+)", link)
    assert found is not None, link
    return f"{found[1]}#{found[2]}"


def put(page: str) -> str:
    """A page with the part between the marks written anew."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert begin
    assert end
    return f"{before}{begin}\n{written()}\n{end}{after}"


def main(arguments: Sequence[str]) -> int:
    """Write the page; with `--check` say only whether it is as it would be written."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = put(page)
    if "--check" in arguments:
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
