"""Digests: SHA-256 as hexadecimal text, the one place that says where it comes from."""

from __future__ import annotations

from typing import Any

# hashlib loads OpenSSL: 4 MiB of memory in each `meter run` and 3 ms of each light command, for the digest of a few
# kilobytes. `random` in the standard library takes its hash from the same place, with the same way out.
try:
    from _sha2 import sha256  # type: ignore[import-not-found]  # Python 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]  # Python 3.11
    except ImportError:  # a Python that was built without its own
        from hashlib import sha256


def canonical_bytes(value: Any) -> bytes:
    """Equal JSON values give equal bytes."""
    import json  # only who makes something new needs it

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str).encode()


def digest(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    text: str = sha256(data).hexdigest()
    return text
