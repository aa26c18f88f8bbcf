"""Mounted backends: a plan that may run with all that it needs for that, such as the lock and a mount file give it.

Light: what the lock holds is run without the contract language.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from meter.contracts import keynames
from meter.core import lock
from meter.core.planned import COLLECT, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meter.contracts.diagnostics import Diagnostic
    from meter.contracts.spans import Span
    from meter.core.engine import Engine
    from meter.core.faults import Fault
    from meter.core.running import Running


class Mounted:
    """A backend with a plan that may run.

    `contracts` says for each plugin where its contract lies; `folder` is where relative paths of its configuration
    start.
    """

    __slots__ = ("contracts", "folder", "plan", "sysroot")

    def __init__(self, plan: Plan, contracts: Mapping[str, str], folder: str, sysroot: str | None = None) -> None:
        self.plan: Final = plan
        self.contracts: Final = dict(contracts)
        self.folder: Final = folder
        self.sysroot: Final = sysroot

    def running(
        self,
        report: Callable[[Fault], None] | None = None,
        *,
        on_breach: str | None = None,
        realtime: bool = False,
        isolate: bool = False,
    ) -> Running:
        """A run of this backend, to be entered with `with`. `report` is called with each fault, in some thread.

        `on_breach` says what becomes of a plugin that breaks its contract, as `meter run --on-breach` does. With
        `realtime` every thread of this process has real-time priority during the run, as with `meter run --realtime`;
        with `isolate` filters and outputs run in a second process, as with `meter run --isolate`.

        Raises: ValueError, there is no such policy. ContractError, with `isolate`, where `collect` is an output: what
            it keeps would be in the other process.
        """
        from meter.core.running import Running  # `exec` and `measure` need the engine alone

        return Running(self.plan, self.engine(report, on_breach=on_breach, isolate=isolate), realtime=realtime)

    def engine(
        self, report: Callable[[Fault], None] | None = None, *, on_breach: str | None = None, isolate: bool = False
    ) -> Engine:
        """An engine with this plan, not started: for who needs its phases one by one.

        Raises: as `running`.
        """
        if isolate and (refused := self.against_isolation()):
            from meter.contracts.diagnostics import ContractError  # only a refusal needs it

            raise ContractError(refused)
        from meter.core.engine import Engine  # a check needs none

        return Engine(
            self.plan.document,
            self.contracts,
            folder=self.folder,
            sysroot=os.path.abspath(self.sysroot) if self.sysroot else None,
            report=report or (lambda _: None),
            on_breach=on_breach,
            isolate=isolate,
        )

    def against_isolation(self) -> list[Diagnostic]:
        """Why it cannot run with `isolate`: somebody takes what an output keeps in the memory of this process."""
        plugins = self.plan.document["plugins"]
        labels = [each["instance"] for each in plugins if each["plugin"] == COLLECT]
        if not labels:
            return []
        from meter.contracts.diagnostics import Diagnostic  # only a refusal needs it

        facts = {"mountpoint": self.plan.mountpoint}
        return [
            Diagnostic(code="E-INTERFACE", variant="isolate", facts={"instance": label, **facts}) for label in labels
        ]

    def __repr__(self) -> str:
        return f"<Mounted {self.plan}>"


def held(file: str, mountpoints: Sequence[str] = (), *, sysroot: str | None = None) -> list[Mounted] | None:
    """What `load` gives where the lock holds each of these plans, else None. Loads nothing of the contract language."""
    entries = lock.warm(file, sysroot, list(map(keynames.tidy, mountpoints)))
    if entries is None:
        return None
    folder = os.path.dirname(os.path.abspath(file))
    return [
        Mounted(
            Plan(entries[name]["plan"], entries[name]["diagnostics"]),
            lock.contracts_of(entries[name]),
            folder,
            sysroot,
        )
        for name in entries
    ]


def load(
    file: str,
    mountpoints: Sequence[str] = (),
    *,
    plugin_dirs: Sequence[str] = (),
    sysroot: str | None = None,
    locked: bool = False,
    spans: Sequence[Span] = (),
) -> list[Mounted]:
    """Backends of a mount file, all of them where none is named; `spans` say where each was named, as typed.

    The lock is written anew where that is needed. The warnings of a plan are those of a check that was made now.

    Raises: ContractError with what is wrong with any of them.
    """
    from meter.core.mounts import Mounts  # the contract language, which `held` does without

    mounts = Mounts(file, plugin_dirs=plugin_dirs, sysroot=sysroot)
    return [
        Mounted(Plan(each.plan, [d.to_json() for d in each.diagnostics]), each.contracts, mounts.folder, sysroot)
        for each in mounts.ready(list(map(keynames.tidy, mountpoints)), locked=locked, spans=spans)
    ]
