"""Placeholders: what `${...}` in a contract or a mount file stands for."""

from __future__ import annotations

import re
from typing import Final

CONFIG: Final = re.compile(r"\$\{config\.([^}]+)\}")
"""The value of an option, of this name."""
ENV: Final = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")
"""The variable of the environment of this name, as it is where the chain runs."""
AT_START: Final = re.compile(rf"\$\{{host\.name\}}|{ENV.pattern}")
"""What is filled when the chain starts: the name of the host, or such a variable."""
ANY: Final = re.compile(r"\$\{[^}]*\}")
"""Whatever it stands for."""
