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
    folder = {"infgram": ".", "infgram-bench": "./bench"}[distribution]
    what = (distribution if PUBLISHED else folder) + (f"[{extra}]" if extra else "")
    where = "" if PUBLISHED else " in a clone of infgram's repository"
    return f"pip install '{what}'{where}"
