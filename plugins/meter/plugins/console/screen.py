"""The lower part of a terminal: lines that stay where they are while everything else is written above them.

A terminal scrolls only what lies between its margins (DECSTBM). The margins are set above the lines, and each drawing
begins with saving the cursor and ends with putting it back: whatever others write, such as errors, scrolls above the
lines, whole, and stays there. A drawing is one write, which the kernel does not mix with those of others.

Source: DEC VT510 reference: DECSTBM, DECSC, DECRC, IND; ECMA-48: CUP, CUU, ED, EL; xterm control sequences.
"""

from __future__ import annotations

import atexit
import os
import select
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from typing import ClassVar

GLANCE_S: Final = 0.25
"""How often the size of the terminal is looked at."""
JOIN_S: Final = 1.0
"""How long the end waits for a terminal that takes nothing, such as one that was halted with Ctrl-S."""

_USUAL: Final = (80, 24)
_FEWEST: Final = 4
"""Of fewer lines nothing is taken."""

_SAVE, _RESTORE = "\x1b7", "\x1b8"
_NO_MARGINS: Final = f"{_SAVE}\x1b[r{_RESTORE}"
_ERASE_BELOW: Final = "\x1b[J"


class View(Protocol):
    """Somebody who has lines to show."""

    def frame(self, width: int, height: int) -> list[str]:
        """At most `height` lines of at most `width` columns."""


class Canvas:
    """What has to be written for lines to stand at the lower end of a terminal; keeps where they are, writes nothing.

    The lines take at most three quarters of the terminal, and never become fewer but when its size changes: else they
    would jump up and down.
    """

    def __init__(self) -> None:
        self.size = _USUAL
        self._height = 0

    @property
    def room(self) -> tuple[int, int]:
        """Columns and lines that may be taken."""
        width, height = self.size
        return width, 0 if height < _FEWEST else height - max(2, height // 4)

    def resize(self, width: int, height: int) -> None:
        """The terminal has another size now; both are 0 where it does not know."""
        size = (width or _USUAL[0], height or _USUAL[1])
        if size != self.size:
            self.size = size
            self._height = 0

    def draw(self, lines: list[str]) -> str:
        """Show these lines and no others."""
        height = self.size[1]
        text = self._make_room(len(lines)) if len(lines) > self._height else ""
        if not self._height:
            return text
        top = height - self._height
        lines = [*lines, *[""] * (self._height - len(lines))]
        # Without wrapping: should a terminal take a character for wider than it is, its line ends at the edge.
        body = "".join(f"\x1b[{top + nth};1H\x1b[2K{line}" for nth, line in enumerate(lines, 1))
        return f"{text}{_SAVE}\x1b[?7l{body}\x1b[?7h{_RESTORE}"

    def _make_room(self, count: int) -> str:
        """Take so many lines: scroll up what stands there, and set the margins above them."""
        self._height = count
        down, up = "\x1bD" * count, f"\x1b[{count}A"
        margins = f"{_SAVE}\x1b[1;{self.size[1] - count}r{_RESTORE}"
        return f"{_NO_MARGINS}{_ERASE_BELOW}{down}{up}{margins}"

    def finish(self, lines: list[str]) -> str:
        """Give the lines back, and leave these as text where the cursor is."""
        text = f"{_NO_MARGINS}{_ERASE_BELOW}" if self._height else ""
        self._height = 0
        return text + "".join(f"{line}\r\n" for line in lines)


class Screen:
    """A terminal that several views share, and a thread that draws what has changed, at most once in `every_s`.

    So whoever measures never waits for a terminal.
    """

    _shared: ClassVar[dict[int, Screen]] = {}
    _guard: ClassVar[Lock] = Lock()

    @classmethod
    def join(cls, file: int, view: View, every_s: float) -> Screen:
        """The screen of a terminal, with one more view."""
        device = os.fstat(file).st_rdev
        with cls._guard:
            screen = cls._shared.get(device)
            if screen is None:
                screen = cls._shared[device] = cls(os.dup(file), every_s)
            screen._views.append(view)
            return screen

    def __init__(self, file: int, every_s: float) -> None:
        self.error: OSError | None = None
        """What the terminal said when it could not be written to; nothing is drawn from then on."""
        self._file: Final = file
        self._every_s: Final = every_s
        self._views: Final[list[View]] = []
        self._left: Final[list[str]] = []
        self._canvas: Final = Canvas()
        self._news: Final = Event()
        self._ended: Final = Event()
        self._thread: Final = Thread(target=self._loop, name="meter-screen", daemon=True)
        self._thread.start()
        atexit.register(self._finish)

    def changed(self) -> None:
        """A view has something new."""
        self._news.set()

    def leave(self, view: View) -> None:
        """End a view; the last one leaves the lines of all as text and the terminal as it was."""
        with self._guard:
            self._left.extend(view.frame(*self._canvas.room))
            self._views.remove(view)
            if self._views:
                return
            del self._shared[next(device for device, screen in self._shared.items() if screen is self)]
        # Else it is tried again when the interpreter ends: by then Ctrl-Q may have been pressed.
        if self._finish():
            atexit.unregister(self._finish)
            os.close(self._file)

    def _finish(self) -> bool:
        """The end, also where nobody has called `leave` before the interpreter ends; whether it was brought about."""
        self._ended.set()
        self._news.set()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            return False
        # A terminal that takes nothing must not keep the others from ending.
        if self.error is None and not self._takes(JOIN_S):
            return False
        if self.error is None:
            self._write(self._canvas.finish(self._left))
        return True

    def _loop(self) -> None:
        drawn = False
        while not self._ended.is_set():
            news = self._news.wait(GLANCE_S)
            self._news.clear()
            if self._ended.is_set():
                return
            before = self._canvas.size
            self._look()
            if self.error is None and (news or not drawn or before != self._canvas.size):
                drawn = self._takes(0)
                if drawn:
                    self._write(self._canvas.draw(self._frame()))
            if self.error is not None:
                return
            if news:
                self._ended.wait(self._every_s)

    def _look(self) -> None:
        """Look at the size of the terminal."""
        try:
            self._canvas.resize(*os.get_terminal_size(self._file))
        except OSError as error:
            self.error = error

    def _frame(self) -> list[str]:
        """The lines of all views, the room shared among them."""
        width, room = self._canvas.room
        lines: list[str] = []
        views = list(self._views)
        for nth, view in enumerate(views):
            lines += view.frame(width, (room - len(lines)) // (len(views) - nth))
        return lines

    def _takes(self, seconds: float) -> bool:
        """Whether the terminal takes something within a time; one that was halted with Ctrl-S does not."""
        return bool(select.select([], [self._file], [], seconds)[1])

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self.error = error
