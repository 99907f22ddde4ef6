"""How what is optional is installed. Alone in knowing whether infgram has been published."""

from __future__ import annotations

PUBLISHED = False
"""Whether `pip install infgram` gives infgram. Until then the name is nobody's, and a hint that
told it might one day install somebody else's package. tools/release.py sets it."""


def how_to_install(extra: str = "", *, distribution: str = "infgram") -> str:
    """A command that installs infgram's own `distribution` with one of its extras.

    >>> how_to_install("zstd").startswith("pip install ")
    True
    """
    wanted = f"[{extra}]" if extra else ""
    if PUBLISHED:
        return f"pip install '{distribution}{wanted}'"
    # infgram beside infgram-bench, which asks for it by name
    folder = {"infgram": "'.", "infgram-bench": ". './bench"}[distribution]
    return f"pip install {folder}{wanted}' in a clone of infgram's repository"
