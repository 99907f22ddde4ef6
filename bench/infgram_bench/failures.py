"""What becomes of a rival that fails: it is out, its row says why, and everyone else goes on.

This is the one place that knows it. A rival can raise anything, exit, or answer wrongly, which
`Trial` catches where it happens; or hang, print what cannot be read, or take down the process that
it is in, which only the process that started that one can tell (`run_beside`, in processes.py). So
a trial says who is at work. What is infgram's own is never caught.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from infgram.errors import InfgramError

FAILED = "failed: "  # as the cell of a rival begins where it failed
_LONGEST = 80


@dataclass(frozen=True)
class Failure:
    """What a rival was doing, and what went wrong, in few words."""

    doing: str
    reason: str

    @property
    def cell(self) -> str:
        """What its row says where there would be a figure."""
        return f"{FAILED}{self.reason}"


class Trial:
    """The rivals that are out, by name, in `failed`: nobody asks them again.

    `say` hears who is at work, as {"rival": name, "doing": what}; nobody's name is "".
    """

    def __init__(
        self,
        failed: Mapping[str, Failure] | None = None,
        say: Callable[[Mapping[str, str]], None] = lambda line: None,
    ) -> None:
        self.failed = dict(failed or {})
        self._say = say

    @contextmanager
    def of(self, rival: str, doing: str) -> Iterator[None]:
        """What a rival does. If it fails, it is out, and what stands after the block goes on.

        With "" for a rival it is infgram that does it, and errors are errors.
        """
        if not rival:
            yield
            return
        self._say({"rival": rival, "doing": doing})
        try:
            yield
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # a panic of Rust and sys.exit() are no Exception
            self.failed[rival] = Failure(doing, in_few_words(error))
        finally:
            self._say({"rival": "", "doing": ""})

    def to_json(self) -> str:
        """What `from_json` reads in another process."""
        return json.dumps({name: asdict(failure) for name, failure in self.failed.items()})

    @classmethod
    def from_json(
        cls, text: str, say: Callable[[Mapping[str, str]], None] = lambda line: None
    ) -> Trial:
        return cls({name: Failure(**each) for name, each in json.loads(text).items()}, say)


def in_few_words(error: BaseException) -> str:
    """A line that fits a table.

    >>> in_few_words(ZeroDivisionError("division by zero\\nand more"))
    'ZeroDivisionError: division by zero'
    >>> in_few_words(InfgramError("stopped after 5 s"))
    'stopped after 5 s'
    """
    message = next(iter(str(error).strip().splitlines()), "")
    if not isinstance(error, InfgramError):
        name = type(error).__name__
        message = f"{name}: {message}" if message else name
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST - 3].rstrip()}..."
