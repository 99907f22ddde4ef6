"""A refiner as a file: safetensors, and what it was trained on in its metadata.

Alone in importing safetensors. Nothing in a file is executed, and a file is written as a whole or
not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...errors import NotARefiner
from ...store.directory import replacing

FORMAT = "infgram-refiner/1"


def write(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    *,
    kind: str = FORMAT,
) -> None:
    """Writes tensors, and metadata that JSON can hold. Raises StorageError."""
    strings = {name: json.dumps(value) for name, value in metadata.items()}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as file:
        file.write(_ordered(save(plain, {"format": kind, **strings})))


def read(
    path: str | os.PathLike[str], *, kind: str = FORMAT
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata. Raises NotARefiner for a file that is torn or something else."""
    if not Path(path).is_file():
        raise NotARefiner(f"{path} is not a file: train one with `infgram refine train CORPUS`")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            found = metadata.pop("format", None)
            if found != kind:
                raise NotARefiner(
                    f"{path} is of format {found!r}, expected {kind!r}: give a file that this "
                    "version of `infgram refine train` has written"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, {name: json.loads(value) for name, value in metadata.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise NotARefiner(
            f"{path} cannot be read as a refiner ({error}): it is torn, or something else; train "
            "one with `infgram refine train CORPUS`"
        ) from error


def _ordered(file: bytes) -> bytes:
    """The file with its metadata in the order of their names; safetensors has them in any."""
    n = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + n])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    written = json.dumps(header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + file[8 + n :]
