"""What goes wrong while a chain runs: codes with facts, remembered and reported; the words are in `CONTRACT.ini`."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from meter.core.breach import ContractBreach
from meter.core.loading import ExportFault
from meter.core.vault import SecretMissing

if TYPE_CHECKING:
    from meter.contracts.diagnostics import Diagnostic
    from meter.core.blame import Blame
    from meter.core.vault import Vault


class Fault(NamedTuple):
    """Something went wrong while running: the code of a diagnostic, its facts, its clause."""

    code: str
    instance: str
    facts: dict[str, str]
    clause: str = ""
    variant: str = ""

    @property
    def diagnostic(self) -> Diagnostic:
        """The same with its words."""
        from meter.contracts.diagnostics import Diagnostic  # the contract language; only a fault needs it

        return Diagnostic(code=self.code, facts=self.facts, clause=self.clause, variant=self.variant)

    @property
    def message(self) -> str:
        """What went wrong, in one sentence."""
        return self.diagnostic.message


def refusal(error: OSError) -> str:
    """What the system refused, and of which file."""
    name = f" `{error.filename}`" if error.filename and f"`{error.filename}`" not in str(error.strerror) else ""
    return f"{error.strerror or error}{name}"


def described(error: BaseException) -> str:
    """An error in one line, with the place in the plugin's code."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen"):
            place = f" ({os.path.basename(file)}:{trace.tb_lineno})"
        trace = trace.tb_next
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (the text of a plugin's own error is the plugin's code, too)
        text = ""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, TimeoutError):
        return refusal(error)
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


class Faults:
    """The faults of one run, in the order in which they were seen; every thread may add to them.

    `failed` says whether an element was quarantined or something could not be delivered. Secrets are masked.
    """

    def __init__(self, vault: Vault, report: Callable[[Fault], None], blame: Blame) -> None:
        self.seen: list[Fault] = []
        self.failed = False
        self.counts: Counter[str] = Counter()
        """How many there are of each instance."""
        self.blame = blame
        self._vault = vault
        self._report = report
        self._lock = threading.Lock()
        self._over = threading.Event()
        """Set when the call that is waited for in `bounded` has come back, or nobody waits for it any more."""
        self._interrupted = False

    def add(self, code: str, instance: str, clause: str = "", variant: str = "", **facts: str) -> None:
        """Remember and report a fault after which the run goes on as it was."""
        told = {name: self._vault.masked(text) for name, text in facts.items()}
        self._remember(Fault(code, instance, {"instance": instance, **told}, clause, variant))

    def relay(self, fault: Fault, *, failed: bool) -> None:
        """Remember and report a fault of another process, which has masked it; whether its run is a failed one."""
        self.failed = self.failed or failed
        self._remember(fault)

    def _remember(self, fault: Fault) -> None:
        with self._lock:
            self.seen.append(fault)
            self.counts[fault.instance] += 1
        self._report(fault)

    def fail(self, code: str, instance: str, clause: str = "", variant: str = "", **facts: str) -> None:
        """The same of a fault that makes the run a failed one."""
        self.failed = True
        self.add(code, instance, clause, variant, **facts)

    def breached(self, label: str, breach: ContractBreach, variant: str = "", *, aborted: bool = False) -> bool:
        """Count a breach of contract and say it, once for each clause and metric; whether the plugin goes on.

        The run is a failed one, whatever the policy. Args: `aborted`, the breach has ended code of the plugin before
        its time, so that nobody knows what it has counted already: it does not go on.
        """
        policy = self.blame.policy()
        if self.blame.count(label, breach):
            variant = variant or ("" if aborted and policy.goes_on else policy.variant)
            self.fail("E-BREACH", label, breach.clause, variant, **self.blame.facts(label, breach))
        if policy.ends:
            self.blame.end()
        return policy.goes_on and not aborted

    def tolerated(self, label: str, breach: ContractBreach) -> bool:
        """Whether a plugin that broke its contract goes on; only then the breach is counted and said here."""
        return self.blame.policy().goes_on and self.breached(label, breach)

    def raised(self, label: str, phase: str, error: BaseException) -> None:
        """Remember what a plugin raised; it is quarantined, which makes the run a failed one."""
        if isinstance(error, ContractBreach):
            self.breached(label, error, aborted=True)
        elif isinstance(error, SecretMissing):
            from meter.contracts.host import reason, remedy  # the contract language; only a fault needs its words

            why, help_ = reason(error.answer), remedy(error.answer, "secret")
            self.fail("E-HOST", label, clause="config", plugin=label, why=why, help=help_)
        elif phase == "start" and (isinstance(error, OSError | ValueError) or type(error) is LookupError):
            # What it was given is not as it needs it: nothing of its code is to blame, as of a KeyError.
            why = refusal(error) if isinstance(error, OSError) else " ".join(str(error).split())
            self.fail("E-PLUGIN-RAISED", label, variant="start", phase=phase, why=why)
        elif isinstance(error, ExportFault):
            self.fail(error.code, label, plugin=error.plugin, export=error.export, why=error.why)
        else:
            self.fail("E-PLUGIN-RAISED", label, phase=phase, why=described(error))

    def guarded(self, label: str, phase: str, call: Callable[[], None]) -> bool:
        """Call into a plugin; whether it came back without an error."""
        try:
            call()
        except BaseException as error:  # noqa: BLE001  (a plugin may raise anything, SystemExit included)
            self.raised(label, phase, error)
            return False
        return True

    def bounded(self, label: str, phase: str, call: Callable[[], None], seconds: float) -> bool:
        """The same in a thread of its own, which is left behind where it does not come back in time.

        A signal that interrupts whoever calls ends the wait at once.
        """
        good: list[bool] = []
        over = self._over = threading.Event()
        self._interrupted = False

        def guarded() -> None:
            good.append(self.guarded(label, phase, call))
            over.set()

        thread = threading.Thread(target=guarded, name=f"meter-{label}-{phase}", daemon=True)
        try:
            thread.start()
            over.wait(seconds)
        except InterruptedError as error:
            self.raised(label, phase, error)
            return False
        if self._interrupted and not good:
            self.raised(label, phase, InterruptedError(errno.EINTR, os.strerror(errno.EINTR)))
        elif not good:
            self.fail("E-IO", label, variant="phase-hangs", phase=phase, seconds=f"{seconds:.3g}")
        return good == [True]

    def interrupt(self) -> None:
        """End the wait of `bounded`, as a signal does; by another thread than the one that waits."""
        self._interrupted = True
        self._over.set()
