"""The measured command is found, started, signalled and accounted for as a shell would do it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meter.core import command
from meter.core.spent import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_S = 10.0

MEBIBYTE = 1 << 20

# A small `meter exec`: prints the pid of the command, then what was found, as one line of JSON each.
SUBJECT = """
import json, os, signal, sys
from meter.core import command

if os.isatty(0):
    import fcntl, termios
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
# A test run in the background of a shell script has SIGINT ignored, and the command would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
with command.signals():
    adopted = command.become_subreaper()
    running = command.start(sys.argv[1:])
    print(running.pid, file=sys.stderr, flush=True)
    running.wait()
    usage = running.finish()
    left = command.leftovers().running
    # Repeated, because what is killed may just have started another.
    while still := command.leftovers().running:
        for pid, _ in still:
            os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(-1, os.WNOHANG)
        children = True
    except ChildProcessError:
        children = False
found = {"received": running.received, "signal": usage.signal, "adopted": adopted, "left": left, "children": children}
print(json.dumps(found), file=sys.stderr, flush=True)
sys.exit(usage.exit_code)
"""


class Subject:
    """A process that measures a command. Its stderr is its own, stdin and stdout are the command's."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr is not None
        self.command_pid = int(process.stderr.readline())

    def said(self) -> str:
        """The next line of the command."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, number: int) -> None:
        """Signal the measuring process alone."""
        self.process.send_signal(number)

    def end(self, answer: str = "") -> tuple[int, dict[str, Any]]:
        """Answer the command, wait for its end; the exit code and what was found."""
        _, errors = self.process.communicate(answer, timeout=DEADLINE_S)
        return self.process.returncode, json.loads(errors)


@contextmanager
def subject(*argv: str, stdin: int = subprocess.PIPE, session: bool = False, safety_s: float = 1) -> Iterator[Subject]:
    """A process that measures `argv`, in a session of its own where asked; it waits so long at a time."""
    source_root = Path(command.__file__).parents[2]
    with subprocess.Popen(
        [
            sys.executable,
            "-S",
            "-c",
            f"from meter.core import command; command._SAFETY_S = {safety_s}\n{SUBJECT}",
            *argv,
        ],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source_root)},
        start_new_session=session,
    ) as process:
        try:
            yield Subject(process)
        finally:
            process.kill()


def measured(*argv: str) -> command.Usage:
    """Measure a command from this process."""
    with command.signals():
        running = command.start(argv)
        running.wait()
        return running.finish()


def python(text: str) -> tuple[str, ...]:
    """The command that runs this Python text."""
    return (sys.executable, "-S", "-c", text)


def poll(check: Callable[[], bool]) -> None:
    """Return when `check` holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not check():
        assert time.monotonic() < deadline


def passed(seconds: float) -> None:
    """Return when a time is over."""
    end = time.monotonic() + seconds
    poll(lambda: time.monotonic() > end)


def program(folder: Path, name: str, *, mode: int = 0o755, text: str = "#!/bin/sh\nexit 3\n") -> str:
    """Write a file into a folder, by default one that can be executed."""
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


class TestFind:
    """`find` and what `start` adds to it."""

    def test_the_first_program_on_the_path_is_taken(self, tmp_path: Path) -> None:
        """As execvp: the first folder with the name wins, and a file there that cannot be executed is passed over."""
        folders = [tmp_path / name for name in ("nothing", "text", "first", "second")]
        for folder in folders[1:]:
            folder.mkdir()
        program(folders[1], "tool", mode=0o644)
        expected = program(folders[2], "tool")
        program(folders[3], "tool")

        assert command.find("tool", os.pathsep.join(map(str, folders))) == expected

    def test_an_empty_folder_of_the_path_is_the_current_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As execvp: `PATH=:/bin` looks in the current folder first."""
        program(tmp_path, "tool")
        monkeypatch.chdir(tmp_path)

        assert command.find("tool", ":/bin") == "./tool"

    def test_a_name_with_a_slash_is_not_looked_for(self, tmp_path: Path) -> None:
        """A path is taken as it is, whatever PATH says."""
        path = program(tmp_path, "tool")

        assert command.find(path, "") == path

    def test_without_path_the_standard_folders_are_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As execvp: a command is found in an environment without PATH."""
        monkeypatch.delenv("PATH")

        assert command.find("sh") in {"/bin/sh", "/usr/bin/sh"}

    def test_a_missing_command_names_what_was_perhaps_meant(self, tmp_path: Path) -> None:
        """The nearest executable names on PATH, the nearest first, three at most, and the exit code 127."""
        for name in ("benchmark", "benchmarks", "benchmarked", "benchmarker", "unlike"):
            program(tmp_path, name)
        program(tmp_path, "benchmak", mode=0o644)

        with pytest.raises(command.CommandNotFound) as caught:
            command.find("benchmrk", str(tmp_path))

        assert (caught.value.name, caught.value.exit_code) == ("benchmrk", 127)
        assert len(caught.value.near) == 3
        assert caught.value.near[:2] == ("benchmark", "benchmarks")
        assert "benchmak" not in caught.value.near

    def test_a_missing_command_names_the_file_of_the_current_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever forgot `./` reads it."""
        program(tmp_path, "build.sh")
        monkeypatch.chdir(tmp_path)

        with pytest.raises(command.CommandNotFound) as caught:
            command.find("build.sh", "/nowhere")

        assert caught.value.near == ("./build.sh",)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "/nowhere/tool",
            "/dev/null/tool",  # ENOTDIR
        ],
    )
    def test_a_missing_path_is_not_found(self, name: str) -> None:
        """A path that leads nowhere is 127, as in a shell, and nothing is guessed."""
        with pytest.raises(command.CommandNotFound) as caught:
            command.find(name, "")

        assert caught.value.near == ()

    def test_a_file_without_execute_permission_says_how_to_give_it(self, tmp_path: Path) -> None:
        """126 and the `chmod` to type, quoted for the shell; also when found on PATH only."""
        path = program(tmp_path, "my tool", mode=0o644)

        for name in (path, "my tool"):
            with pytest.raises(command.CommandNotExecutable) as caught:
                command.find(name, str(tmp_path))

            assert (caught.value.path, caught.value.hint, caught.value.exit_code) == (path, f"chmod +x '{path}'", 126)

    @pytest.mark.parametrize("path", ["/", "/dev/null"])
    def test_what_is_no_regular_file_cannot_be_executed(self, path: str) -> None:
        """A folder or a device is 126, and `chmod` is not offered."""
        with pytest.raises(command.CommandNotExecutable) as caught:
            command.find(path)

        assert (caught.value.path, caught.value.hint) == (path, "")

    def test_a_folder_on_the_path_is_passed_over(self, tmp_path: Path) -> None:
        """A folder that has the name of the command is not what was meant."""
        (tmp_path / "tool").mkdir()

        with pytest.raises(command.CommandNotFound):
            command.find("tool", str(tmp_path))


class TestStart:
    """What the kernel refuses although the mode of the file allows it."""

    def test_a_script_without_interpreter_says_how_to_run_it(self, tmp_path: Path) -> None:
        """A shell would run it by itself, here it is 126 with both ways to mend it."""
        path = program(tmp_path, "script", text="exit 3\n")

        with pytest.raises(command.CommandNotExecutable) as caught:
            command.start([path])

        assert "#!/bin/sh" in caught.value.hint
        assert f"sh {path}" in caught.value.hint

    def test_a_program_of_another_processor_is_not_offered_to_the_shell(self, tmp_path: Path) -> None:
        """What is no script gets no advice for scripts."""
        path = program(tmp_path, "foreign", text="\x7fELF\n")

        with pytest.raises(command.CommandNotExecutable) as caught:
            command.start([path])

        assert caught.value.hint == ""

    @pytest.mark.parametrize("interpreter", ["/nowhere/sh", "/bin/sh\r"])
    def test_a_missing_interpreter_is_named(self, tmp_path: Path, interpreter: str) -> None:
        """The script is there, so it is 126, and a carriage return that nobody sees is shown."""
        path = program(tmp_path, "script", text=f"#!{interpreter}\nexit 3\n")

        with pytest.raises(command.CommandNotExecutable) as caught:
            command.start([path])

        assert repr(interpreter) in caught.value.why

    def test_python_leaves_no_trace_in_the_signals_of_the_command(self, tmp_path: Path) -> None:
        """A command starts with nothing blocked, and what Python ignores for itself is not ignored in it."""
        found = tmp_path / "found"
        measured("sh", "-c", 'exec cp /proc/self/status "$0"', str(found))

        status = dict(line.split(":\t", 1) for line in found.read_text().splitlines())
        ignored = int(status["SigIgn"], 16)
        assert int(status["SigBlk"], 16) == 0
        assert [n for n in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD) if ignored >> (n - 1) & 1] == []


class TestUsage:
    """What `finish` reports."""

    @pytest.mark.parametrize(
        ("argv", "exit_code", "number"),
        [
            (("true",), 0, None),
            (("false",), 1, None),
            (("sh", "-c", "exit 42"), 42, None),
            (("sh", "-c", "exit 255"), 255, None),
            (("sh", "-c", "exit 143"), 143, None),  # looks like SIGTERM and is none
            (("sh", "-c", "kill -TERM $$"), 143, signal.SIGTERM),
            (("sh", "-c", "kill -KILL $$"), 137, signal.SIGKILL),
        ],
    )
    def test_the_end_of_the_command_is_told_as_a_shell_tells_it(
        self, argv: tuple[str, ...], exit_code: int, number: int | None
    ) -> None:
        """The exit code passes through, 128 + N stands for signal N, and the two can be told apart."""
        usage = measured(*argv)

        assert (usage.exit_code, usage.signal) == (exit_code, number)

    def test_the_counts_agree_with_proc(self, tmp_path: Path) -> None:
        """CPU time, page faults and bytes to storage are those of the ended command's own files in /proc."""
        text = (
            "import os, sys, time\n"
            "file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)\n"
            f"os.write(file, bytes({MEBIBYTE})); os.fsync(file)\n"
            "while time.process_time() < 0.3: pass\n"
        )
        with command.signals():
            running = command.start([*python(text), str(tmp_path / "written")])
            running.wait()
            # Not yet reaped, so /proc still has it. The first field here is field 3 of proc_pid_stat(5).
            fields = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
            io = dict(line.split(": ") for line in Path(f"/proc/{running.pid}/io").read_text().splitlines())
            usage = running.finish()

        cpu_s = usage.user_s + usage.system_s
        assert cpu_s >= 0.3
        # Each of the two is cut to whole ticks.
        ticks = int(fields[11]) + int(fields[12])
        assert cpu_s == pytest.approx(ticks / os.sysconf("SC_CLK_TCK"), abs=0.03)
        assert [usage.read_bytes, usage.written_bytes] == [int(io["read_bytes"]), int(io["write_bytes"])]

    def test_descendants_that_were_waited_for_are_counted(self) -> None:
        """The CPU time of a pipeline in a shell is that of its members."""
        text = "import time\nwhile time.process_time() < 0.1: pass"
        burn = " ".join(f"'{word}'" for word in python(text))

        usage = measured("sh", "-c", f"{burn}; {burn}; exit 0")

        assert usage.user_s + usage.system_s >= 0.2

    def test_the_run_lies_between_its_marks(self) -> None:
        """The span covers the spawn and the end, so it is never shorter than what the command saw of itself."""
        before_ns = time.monotonic_ns()
        usage = measured(*python("import time\nwhile time.process_time() < 0.05: pass"))
        after_ns = time.monotonic_ns()

        assert before_ns <= usage.started_ns
        assert usage.started_ns + 50_000_000 <= usage.ended_ns
        assert usage.ended_ns <= after_ns

    def test_the_peak_of_a_large_command_is_known(self) -> None:
        """Memory that was touched is in the peak, in bytes."""
        size = (memory()[1] or 0) + 64 * MEBIBYTE
        usage = measured(*python(f"b'x' * {size}"))

        assert usage.peak_rss_bytes is not None
        assert size < usage.peak_rss_bytes < size + 64 * MEBIBYTE

    def test_the_peak_of_a_small_command_is_missing(self) -> None:
        """The kernel gives the peak of the starter for a command below it; that is not passed off as a measurement."""
        usage = measured("true")

        assert usage.peak_rss_bytes is None
        assert 0 < usage.max_rss_bytes <= usage.max_rss_floor_bytes

    def test_it_can_be_read_again(self) -> None:
        """A second `finish` gives the same and waits for nothing, as the pid may be another's by then."""
        with command.signals():
            running = command.start(["true"])

            assert running.finish() is running.finish()


class TestSignals:
    """Who gets which signal, and what is left afterwards."""

    @pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
    def test_a_signal_sent_to_meter_is_passed_on(self, number: int, exit_code: int) -> None:
        """`kill` of the measuring process ends the command, and the measurement ends in order with its code."""
        with subject("sleep", "60") as running:
            running.send(number)
            code, found = running.end()

        assert (code, found["signal"], found["received"]) == (exit_code, number, [number])

    def test_a_command_that_ignores_a_signal_runs_on(self) -> None:
        """The decision to end is the command's: one that ignores SIGINT gives its own code later."""
        with subject("sh", "-c", "trap '' INT; echo ready; read -r _; exit 7") as running:
            assert running.said() == "ready"
            running.send(signal.SIGINT)
            code, found = running.end("go on\n")

        assert (code, found["signal"], found["received"]) == (7, None, [signal.SIGINT])

    def test_a_key_of_the_terminal_reaches_the_command_once(self) -> None:
        """Ctrl-C goes to the whole foreground group by itself; passing it on would make two of it."""
        # SIGUSR1 closes the count: it comes after whatever Ctrl-C caused, and is passed on in the order received.
        text = (
            "import signal, sys\n"
            "both = {signal.SIGINT, signal.SIGUSR1}\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, both)\n"
            "number = None\n"
            "while number != signal.SIGUSR1:\n"
            "    print('waits', flush=True)\n"
            "    number = signal.sigwait(both)\n"
            "    print(number.name, flush=True)\n"
        )
        master, slave = os.openpty()
        try:
            with subject(*python(text), stdin=slave, session=True) as running:
                assert running.said() == "waits"
                os.write(master, b"\x03")
                assert [running.said(), running.said()] == ["SIGINT", "waits"]
                running.send(signal.SIGUSR1)
                assert running.said() == "SIGUSR1"
                code, found = running.end()
        finally:
            os.close(master)
            os.close(slave)

        assert (code, found["received"]) == (0, [signal.SIGINT, signal.SIGUSR1])

    def test_a_key_of_the_terminal_reaches_a_command_outside_the_group(self) -> None:
        """A command with a session of its own does not get Ctrl-C from the terminal, so it is passed on."""
        text = (
            "import os, signal\n"
            "os.setsid()\n"
            "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
            "print('ready', flush=True)\n"
            "signal.pause()\n"
        )
        master, slave = os.openpty()
        try:
            with subject(*python(text), stdin=slave, session=True) as running:
                assert running.said() == "ready"
                os.write(master, b"\x03")
                code, found = running.end()
        finally:
            os.close(master)
            os.close(slave)

        assert (code, found["received"]) == (130, [signal.SIGINT])

    def test_what_the_command_sends_is_not_given_back_to_it(self) -> None:
        """A command that signals its whole group, as `kill 0` in scripts, gets the signal once."""
        text = (
            "import os, signal, sys\n"
            "both = {signal.SIGUSR1, signal.SIGUSR2}\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, both)\n"
            "os.kill(0, signal.SIGUSR1)\n"
            "signal.sigwait(both)\n"
            "print('ready', flush=True)\n"
            "sys.exit(signal.sigwait(both))\n"
        )
        with subject(*python(text), session=True) as running:
            assert running.said() == "ready"
            running.send(signal.SIGUSR2)
            code, found = running.end()

        assert (code, found["received"]) == (signal.SIGUSR2, [signal.SIGUSR1, signal.SIGUSR2])

    def test_a_command_that_ended_before_the_wait_is_seen(self) -> None:
        """A short command whose SIGCHLD was lost does not hang the measurement."""
        with command.signals():
            running = command.start(["true"])
            # The kernel sends SIGCHLD before it lets this return.
            os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
            signal.sigtimedwait({signal.SIGCHLD}, 0)
            running.wait()

            assert running.finish().exit_code == 0

    def test_a_signal_that_came_with_the_end_does_not_end_meter(self) -> None:
        """Ctrl-C ends the command and is noted; the process that measures goes on to its table."""
        with command.signals():
            running = command.start(["true"])
            os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            running.wait()
            running.finish()

        assert running.received == [signal.SIGINT]

    def test_a_stopped_command_is_waited_for(self) -> None:
        """Ctrl-Z and `fg` do not end a measurement."""
        with subject("sh", "-c", "kill -STOP $$; exit 5") as running:
            stat = Path(f"/proc/{running.command_pid}/stat")
            poll(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
            os.kill(running.command_pid, signal.SIGCONT)
            code, _ = running.end()

        assert code == 5

    def test_a_measurement_that_is_stopped_goes_on(self) -> None:
        """Ctrl-Z stops `meter`, too, for longer than it waits at a time; it ends as if nothing had been."""
        with subject("sh", "-c", "read answer; exit 6", safety_s=0.02) as running:
            stat = Path(f"/proc/{running.process.pid}/stat")
            for _ in range(5):
                running.send(signal.SIGSTOP)
                poll(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
                passed(0.02)
                running.send(signal.SIGCONT)
                poll(lambda: stat.read_text().rpartition(")")[2].split()[0] != "T")
            code, found = running.end("on\n")

        assert (code, found["received"]) == (6, [])

    def test_what_was_never_filled_is_no_signal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As the interpreter hands it over after a stop: whatever number is in it, the command is waited for."""
        wait = signal.sigtimedwait
        numbers = [0, 1826057976, -3, signal.SIGSTOP]

        def unfilled(handled: frozenset[signal.Signals], seconds: float) -> signal.struct_siginfo | None:
            if numbers and seconds:
                return signal.struct_siginfo([numbers.pop(), *[0] * 6])
            return wait(handled, seconds)

        monkeypatch.setattr(signal, "sigtimedwait", unfilled)
        with command.signals():
            running = command.start(["sh", "-c", "sleep 0.05; exit 7"])
            running.wait()

        assert (running.finish().exit_code, running.received, numbers) == (7, [], [])

    def test_an_inherited_ignored_sigchld_loses_no_status(self) -> None:
        """Children of a process that ignores SIGCHLD vanish unseen; the command does not."""
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            usage = measured("false")
            after = signal.getsignal(signal.SIGCHLD)
        finally:
            signal.signal(signal.SIGCHLD, before)

        assert (usage.exit_code, after) == (1, signal.SIG_IGN)

    def test_the_mask_is_given_back(self) -> None:
        """Whoever measures from Python has its signals back afterwards, also when the command was not found."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())

        with pytest.raises(command.CommandNotFound):
            measured("/nowhere/tool")

        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


class TestLeftovers:
    """What outlives the command."""

    def test_what_still_runs_is_named_and_what_ended_is_reaped(self) -> None:
        """Orphans of the command are found with everything below them, and no zombie stays."""
        text = "sh -c 'sleep 60; true' >/dev/null & true & echo $!; exit 0"
        with subject("sh", "-c", text) as running:
            code, found = running.end()

        assert found["adopted"]
        assert code == 0
        assert {"sh"} <= {name for _, name in found["left"]} <= {"sh", "sleep"}
        assert not found["children"]

    def test_a_tidy_command_leaves_nothing(self) -> None:
        """What the command waited for is not reported."""
        with subject("sh", "-c", "true & wait") as running:
            _, found = running.end()

        assert found["left"] == []

    def test_own_helpers_are_neither_reported_nor_reaped(self) -> None:
        """The status of a helper process stays with whoever started it."""
        with subprocess.Popen(["true"]) as helper:
            os.waitid(os.P_PID, helper.pid, os.WEXITED | os.WNOWAIT)

            assert helper.pid not in {pid for pid, _ in command.leftovers(ours={helper.pid}).running}
            assert os.waitid(os.P_PID, helper.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
