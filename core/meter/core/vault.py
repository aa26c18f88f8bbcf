"""Secrets of a run: looked up where the configuration says when a plugin is made, and kept out of every message."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from meter.contracts.references import LARGEST, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

MASK: Final = "…"
"""What stands in a message in the place of a secret."""


class SecretMissing(Exception):  # noqa: N818  (as ExportMissing, it is told as a need of the host)
    """A secret is not where the configuration says; `answer` is that of a host that is asked for the place."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer: Final = answer


class Vault:
    """What references stand for, below a folder and in an environment."""

    def __init__(self, folder: str, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ
        self._known: list[str] = []

    def look(self, reference: Reference) -> str:
        """The secret behind a reference; one line end at the end of a file is none of it.

        Raises: SecretMissing.
        """
        secret = self._read(reference.file) if reference.file else self._environ.get(reference.variable)
        if secret is None:
            raise SecretMissing(f"unset {reference.variable}")
        from urllib.parse import quote  # only a backend with a secret needs it

        self._known += [each for each in {secret, quote(secret, safe="")} if each]
        self._known.sort(key=len, reverse=True)
        return secret

    def _read(self, path: str) -> str:
        full = os.path.join(self._folder, path)
        try:
            with open(full, "rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            raise SecretMissing(f"missing {full}") from None
        except OSError:
            raise SecretMissing(f"unreadable {full}") from None
        if len(data) > LARGEST:
            raise SecretMissing(f"no-secret {full}")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise SecretMissing(f"no-secret {full}") from None
        return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")

    def masked(self, text: str) -> str:
        """A text without the secrets that were looked up."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        return text
