"""What a server allows: who may ask, and how much of what costs something."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ..checks import instance, number, whole

_FRACTIONS = {"body_seconds", "idle_seconds", "seconds"}


@dataclass(frozen=True)
class Limits:
    """How much one request, or all of them, may ask for. docs/serving.md has the status of each.

    - `connections`: open at once.
    - `requests`: being answered at once, those that wait among them.
    - `threads`: requests that compute at once.
    - `idle_seconds`: until a connection that sends nothing, or half a request, is closed.
    - `body_bytes`, `body_seconds`: of a request's body.
    - `seconds`: a request may take.
    - `prompts`, `prompt_tokens`: of a completion, and tokens of each.
    - `max_tokens`: to be written by a request, in all of its choices together.
    - `n`: texts after each prompt.
    - `logprobs`: of each token.
    - `stops`, `stop_characters`: stop strings, and the longest one.
    - `queries`: n-grams in a batch.
    - `query_tokens`: of an n-gram.
    - `clauses`, `terms`: of a formula of ANDs of ORs; `occurrences`: of all its terms together.
    - `text_characters`: of a text that is traced.
    - `documents`: shown for a span; `spans`: shown of a text.

    Raises InvalidParameter.

    >>> Limits(n=4).n
    4
    """

    connections: int = 2000
    requests: int = 200
    threads: int = 8
    idle_seconds: float = 15.0
    body_bytes: int = 4 << 20
    body_seconds: float = 15.0
    seconds: float = 30.0
    prompts: int = 128
    prompt_tokens: int = 100_000
    max_tokens: int = 100_000
    n: int = 16
    logprobs: int = 20
    stops: int = 16
    stop_characters: int = 1000
    queries: int = 10_000
    query_tokens: int = 10_000
    clauses: int = 8
    terms: int = 8
    occurrences: int = 5_000_000
    text_characters: int = 20_000
    documents: int = 10
    spans: int = 1000

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if limit.name in _FRACTIONS:
                number(0, above=True, **{limit.name: value})
            else:
                whole(1, **{limit.name: value})


@dataclass(frozen=True)
class Settings:
    """Who may ask, and what is told.

    - `token`: that every request but one for /health must carry; None for no such guard.
    - `hosts`: names that a request may call the server by, beside localhost and bare addresses.
    - `origins`: of web pages that may ask from a browser, such as "https://example.org".
    - `show_paths`: sources of documents are told as whole paths, and not as names of files.

    Raises InvalidParameter.

    >>> Settings(hosts=("models.example.org",)).token is None
    True
    """

    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    show_paths: bool = False
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if self.token is not None:
            instance(str, "any text that nobody guesses", token=self.token)
            whole(1, **{"the length of token": len(self.token)})
        instance(Limits, "infgram.serve.settings.Limits() makes one", limits=self.limits)
