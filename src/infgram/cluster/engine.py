"""Ray, which runs tasks and keeps actors alive. Alone in importing ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InfgramError, MissingExtra, WorkerLost
from ..extras import how_to_install

RETRIES = 5
"""How often a task is run again, or an actor started again and asked again, if its process dies."""


def run_all(task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What a function returns of each arguments, run as tasks. Raises what they raise."""
    ray = _library()
    remote = ray.remote(max_retries=RETRIES)(task)
    return results([remote.remote(*each) for each in arguments])


def actors(kind: type, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Objects of a class, each in a process of its own that is started again if it dies."""
    ray = _library()
    remote = ray.remote(max_restarts=RETRIES, max_task_retries=RETRIES)(kind)
    return [remote.remote(*each) for each in arguments]


def stop(actor: Any) -> None:
    """Ends an actor."""
    _library().kill(actor)


def results(asked: Sequence[Any]) -> list[Any]:
    """The answers that were asked for. Raises what a worker raised, and WorkerLost."""
    ray = _library()
    try:
        return list(ray.get(list(asked)))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InfgramError):
            raise error.cause from error
        raise
    except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError) as error:
        raise WorkerLost(
            f"a worker died {RETRIES + 1} times, or its machine is gone for good: see what Ray "
            f"says of it ({str(error).strip().splitlines()[0]}), and open the cluster again"
        ) from error


def _library() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra(
            f"a cluster needs ray, which is not installed: {how_to_install('ray')}"
        ) from error
    return ray
