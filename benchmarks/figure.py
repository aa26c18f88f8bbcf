"""One figure: a value, its peer or control, the ratio of both and the bar."""

from __future__ import annotations

import os
import subprocess
import time
import timeit
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Figure(NamedTuple):
    """`value` and `control` in `unit`, and an upper `bar`.

    The bar bounds the ratio of both, or the value where `of` is a unit; with `at_least` it bounds from below, with
    `near` it says how far from 1 the ratio may be. A value of None is absent, such as a peer that is not installed:
    `note` says why and what installs it.
    """

    name: str
    value: float | None
    control: float | None
    control_name: str
    unit: str
    bar: float | None
    of: str = "x"
    at_least: bool = False
    note: str = ""
    near: bool = False

    @property
    def ratio(self) -> float | None:
        """Value by control."""
        return None if self.value is None or not self.control else self.value / self.control

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one, or where what it needs is absent."""
        measured = self.ratio if self.of == "x" else self.value
        if self.bar is None or measured is None:
            return None
        if self.near:
            return abs(measured - 1) <= self.bar
        return measured >= self.bar if self.at_least else measured <= self.bar

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**self._asdict(), "ratio": self.ratio, "met": self.met}

    @staticmethod
    def header() -> str:
        """The columns of `line`."""
        return f"{'figure':<46} {'value':>12} {'control':>12}  {'beside':<22} {'ratio':>7} {'bar':>9}  met"

    def line(self) -> str:
        """One line of the table."""
        value = "absent" if self.value is None else f"{self.value:.4g} {self.unit}"
        control = "-" if self.control is None else f"{self.control:.4g} {self.unit}"
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        sign = "+-" if self.near else ">=" if self.at_least else "<="
        bar = "-" if self.bar is None else f"{sign}{self.bar:g}{'' if self.of == 'x' else ' ' + self.of}"
        met = {True: "yes", False: "NO", None: "-"}[self.met]
        note = f"  {self.note}" if self.note else ""
        return f"{self.name:<46} {value:>12} {control:>12}  {self.control_name:<22} {ratio:>7} {bar:>9}  {met}{note}"


def absent(name: str, unit: str, why: str) -> Figure:
    """A figure that could not be measured here."""
    return Figure(name, None, None, "", unit, None, note=why)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of what is measured: modules are kept as bytecode, as where meter is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {**(more or {})}


def whole_processes(
    commands: Mapping[str, Sequence[str]], *, runs: int, cwd: str, env: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Best wall time of each command in milliseconds, the commands in turn; one more run comes first."""
    best = dict.fromkeys(commands, float("inf"))
    if runs > 1:
        whole_processes(commands, runs=1, cwd=cwd, env=env)
    for _ in range(runs):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=cwd, env=environment(env))
            best[name] = min(best[name], (time.perf_counter() - begin) * 1e3)
    return best


def best_us(call: Callable[[], object], *, repeats: int = 90) -> float:
    """Best time of a call in microseconds; each repeat takes about 2 ms, so that other processes spare some of them."""
    timer = timeit.Timer(call)
    number, _ = timer.autorange()
    number = max(1, number // 100)
    return min(timer.repeat(repeats, number)) / number * 1e6
