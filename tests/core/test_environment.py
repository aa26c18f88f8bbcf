"""What variables of meter say holds where an argument says nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from meter.core import environment


@pytest.mark.parametrize(
    ("explicit", "environ", "there", "found"),
    [
        ("my.toml", {"METER_FILE": "env.toml"}, ["meter.toml"], "my.toml"),
        (None, {"METER_FILE": "env.toml"}, ["meter.toml"], "env.toml"),
        (None, {}, ["meter.toml", "config/meter/meter.toml"], "meter.toml"),
        (None, {}, ["config/meter/meter.toml"], "{0}/config/meter/meter.toml"),
        (None, {}, [], "meter.toml"),
    ],
)
def test_the_mount_file_is_looked_for_in_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    explicit: str | None,
    environ: dict[str, str],
    there: list[str],
    found: str,
) -> None:
    """Named, in the environment, here, then in the user's configuration."""
    monkeypatch.chdir(tmp_path)
    for name in there:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    for name, value in {"METER_FILE": "", "XDG_CONFIG_HOME": str(tmp_path / "config"), **environ}.items():
        monkeypatch.setenv(name, value)

    assert environment.mount_file(explicit) == found.format(tmp_path)
