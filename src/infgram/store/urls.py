"""What is the address of an index that lies elsewhere, and no path.

`pathlib` makes one slash of two: an address that went through it is still one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

SCHEMES = ("s3", "gs", "az", "http", "https", "hf")
_URL = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}([^/].*?)/*")


def url_of(path: str | os.PathLike[str]) -> str | None:
    """The address that a path stands for, or None.

    >>> url_of("s3://bucket/corpus.infgram/"), url_of("corpus.infgram")
    ('s3://bucket/corpus.infgram', None)
    """
    text = path.as_posix() if isinstance(path, Path) else os.fspath(path)
    found = _URL.fullmatch(text) if isinstance(text, str) else None
    return f"{found[1]}://{found[2]}" if found else None
