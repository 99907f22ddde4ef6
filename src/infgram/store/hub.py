"""Repositories of the Hugging Face Hub. Alone in importing huggingface_hub.

A repository's commit never changes: an address is looked up once, and then the files of that commit
are read as a web server has them. Keys and the hub's address are huggingface_hub's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingExtra, RemoteFailure, StorageError
from ..extras import how_to_install

HUB = "hf://"


def missing(module: str, url: str) -> MissingExtra:
    """The error for a library that is not installed and that an address needs."""
    return MissingExtra(f"{url} needs {module}, which is not installed: {how_to_install('remote')}")


def first_line(error: BaseException) -> str:
    """What a library says of an error, without what it shows to those who debug it."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


_ADDRESS = re.compile(r"hf://(datasets/|spaces/)?([^/@]+/[^/@]+)(?:@([^/]+))?(?:/(.+))?")


def _repository(url: str) -> tuple[str, str, str | None, str]:
    """Kind, name, revision and folder that an address of the hub names."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise StorageError(
            f"{url} is no address of the hub: expected hf://datasets/USER/NAME[@REVISION][/FOLDER]"
        )
    return (found[1] or "models/")[:-2], found[2], found[3], found[4] or ""


def web_address(url: str) -> tuple[str, dict[str, str]]:
    """Where a web server has the files of a repository's commit, and headers to send along.

    Raises RemoteFailure, StorageError.
    """
    api = _api(url)
    kind, name, revision, folder = _repository(url)
    try:
        commit = api.repo_info(name, repo_type=kind, revision=revision).sha
        token = api.token if isinstance(api.token, str) else _token()
    except Exception as error:
        raise RemoteFailure(
            f"{url}: the hub does not tell of this repository ({first_line(error)})"
        ) from error
    prefix = "" if kind == "model" else f"{kind}s/"
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return f"{api.endpoint}/{prefix}{name}/resolve/{commit}/{folder}".rstrip("/"), headers


def commit(url: str, files: Sequence[tuple[str, Path | bytes]]) -> None:
    """Adds files to a repository, all at once. Raises RemoteFailure."""
    api = _api(url)
    from huggingface_hub import CommitOperationAdd

    kind, name, revision, folder = _repository(url)
    added = [CommitOperationAdd(f"{folder}/{path}".lstrip("/"), content) for path, content in files]
    try:
        api.create_commit(
            name, added, commit_message="An index of infgram", repo_type=kind, revision=revision
        )
    except Exception as error:
        raise RemoteFailure(f"{url}: the hub did not take it ({first_line(error)})") from error


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _api(url: str) -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise missing("huggingface_hub", url) from error
    return HfApi()
