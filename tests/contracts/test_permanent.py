"""What mends a need of the host for good: commands that can be copied, and that name what they have to."""

from __future__ import annotations

import re
import stat
import subprocess
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from meter.contracts.host import permanent
from tests.powercap import ROWS, row

if TYPE_CHECKING:
    from pathlib import Path

RAPL = "/sys/class/powercap/intel-rapl*/energy_uj"


def words(line: str) -> list[list[str]]:
    """The words of each command of a line, as a shell has them, without `sudo`."""
    script = "\n".join(f"printf '%s\\0' {part}; printf '\\n\\0'" for part in re.split(r" (?:\||&&) ", line))
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    return [
        [word for word in each.strip("\0").split("\0") if word != "sudo"] for each in done.stdout.split("\n\0") if each
    ]


def test_a_rule_of_udev_lets_a_device_be_read_at_each_boot(tmp_path: Path) -> None:
    """Of each device of the pattern, in the moment in which it is there, and now; run on a made tree, it does so.

    Source: udev(7): KERNEL is a pattern of the shell, `%S` the mount point of sysfs, `%p` the path of the device in it.
    """
    machine = row(tmp_path, "A")
    echo, tee, reload, trigger = words(permanent(f"denied {RAPL}"))
    fields = dict(re.findall(r'([A-Z]+)(?:\+?=|==)"([^"]*)"', echo[1]))

    assert (fields["SUBSYSTEM"], fields["ACTION"].split("|")) == ("powercap", ["add", "change"])
    assert tee == ["tee", "/etc/udev/rules.d/60-meter-powercap.rules"]
    assert reload == ["udevadm", "control", "--reload"]
    assert trigger == ["udevadm", "trigger", "--subsystem-match=powercap"]
    for place in ROWS["A"]:
        file = machine.file(place)
        file.chmod(0o400)
        assert fnmatchcase(place, fields["KERNEL"])
        device = (machine.folder / place).resolve().relative_to(tmp_path / "sys")
        program = fields["RUN"].replace("%S", str(tmp_path / "sys")).replace("%p", f"/{device}")
        subprocess.run(program.split(), check=True)
        assert stat.S_IMODE(file.stat().st_mode) == 0o444


@pytest.mark.parametrize(
    "answer",
    [
        "denied /copy/sys/class/powercap/intel-rapl*/energy_uj",
        "denied /proc/stat",
        "denied /sys/fs/cgroup/cgroup.procs",
        "denied /sys/class/powercap/it's/energy_uj",
        'denied /sys/class/powercap/a"b/energy_uj',
        "missing /sys/class/powercap/intel-rapl*/energy_uj",
        "no-library libnvidia-ml.so.1",
        "something else",
    ],
)
def test_nothing_is_promised_for_what_no_rule_can_name(answer: str) -> None:
    """Neither for a copy of another machine, nor where a name would have to be quoted in a quote."""
    assert permanent(answer) == ""


def test_a_setting_is_kept_in_a_file_that_the_next_boot_reads() -> None:
    """One file for each setting, so that none replaces another. Source: sysctl.d(5)."""
    echo, tee = words(permanent("other-value kernel.perf_event_paranoid<=1 2"))

    assert echo[1:] == ["kernel.perf_event_paranoid = 1"]
    assert tee == ["tee", "/etc/sysctl.d/60-meter-kernel.perf_event_paranoid.conf"]


def test_a_capability_is_given_to_the_interpreter_that_runs_meter(tmp_path: Path) -> None:
    """Through the links of a virtual environment, and of a folder in PATH that has a link to its script."""
    real, environment, path = (tmp_path / name for name in ("real", "environment", "path"))
    for folder in (real, environment, path):
        folder.mkdir()
    (real / "python3.11").touch()
    (environment / "python3").symlink_to(real / "python3.11")
    (environment / "meter").write_text("#!/bin/sh\n")
    (environment / "meter").chmod(0o755)
    (path / "meter").symlink_to(environment / "meter")
    line = permanent("unprivileged CAP_PERFMON")
    for folder in (environment, path):
        script = f'sudo() {{ printf "%s " "$@"; }}\nPATH="{folder}:$PATH"\n{line}'
        done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)

        assert done.stdout.split() == ["setcap", "cap_perfmon+ep", str(real / "python3.11")]
