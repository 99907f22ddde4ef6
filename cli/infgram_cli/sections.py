"""What the commands are for: the parts of the list that `infgram --help` shows."""

from __future__ import annotations

SECTIONS = {
    "Start": ("demo", "build", "info"),
    "Ask": ("count", "next", "find", "trace", "ngrams"),
    "Compare": ("overlap", "dedup"),
    "Write": ("generate",),
    "Measure": ("perplexity", "novelty", "plot", "bench"),
    "Edit": ("polish", "refine", "lint", "infill", "animate"),
    "Draft": ("draft",),
    "Serve": ("serve",),
    "Grow": ("add", "remove", "merge"),
    "Share": ("push", "pull"),
    "Parts": ("plan", "join"),
    "Keep": ("calibrate", "fit", "convert", "verify", "export"),
    "Shell": ("completion", "man"),
}
MORE = "More"
"""For what another distribution adds and is not named here."""
