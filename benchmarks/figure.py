"""One figure: a value, its control, the ratio of both and the bar."""

from __future__ import annotations

import subprocess
import time
import timeit
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Figure(NamedTuple):
    """`value` and `control` in `unit`, and an upper `bar`.

    The bar bounds the ratio of both, or the value where `of` is a unit; with `at_least` it bounds from below.
    """

    name: str
    value: float
    control: float | None
    control_name: str
    unit: str
    bar: float | None
    of: str = "x"
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        """Value by control."""
        return None if not self.control else self.value / self.control

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        measured = self.ratio if self.of == "x" else self.value
        if self.bar is None or measured is None:
            return None
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
        control = "-" if self.control is None else f"{self.control:.4g} {self.unit}"
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        sign = ">=" if self.at_least else "<="
        bar = "-" if self.bar is None else f"{sign}{self.bar:g}{'' if self.of == 'x' else ' ' + self.of}"
        met = {True: "yes", False: "NO", None: "-"}[self.met]
        value = f"{self.value:.4g} {self.unit}"
        return f"{self.name:<46} {value:>12} {control:>12}  {self.control_name:<22} {ratio:>7} {bar:>9}  {met}"


def whole_processes(commands: Mapping[str, Sequence[str]], *, runs: int, cwd: str) -> dict[str, float]:
    """Best wall time of each command in milliseconds, the commands in turn."""
    best = dict.fromkeys(commands, float("inf"))
    for _ in range(runs):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, cwd=cwd)
            best[name] = min(best[name], (time.perf_counter() - begin) * 1e3)
    return best


def best_us(call: Callable[[], object], *, repeats: int = 9) -> float:
    """Best time of a call in microseconds."""
    timer = timeit.Timer(call)
    number, _ = timer.autorange()
    number = max(1, number // 5)
    return min(timer.repeat(repeats, number)) / number * 1e6
