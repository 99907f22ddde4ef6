"""The application: which path leads where."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..index import Index
from .answers import Json
from .attributing import Attributing
from .catalogue import DEFAULT_ESTIMATOR, Catalogue
from .completions import Completions
from .explore import Explore
from .guard import OPEN, Guard
from .infinigram import InfiniGram
from .metrics import Metrics
from .pages import Pages
from .refusals import Refusal, refusal_of
from .settings import Settings
from .tokenizing import Tokenizing
from .work import Threads

Endpoint = Callable[[Request], Awaitable[Response]]


def application(
    indexes: Iterable[Index],
    settings: Settings | None = None,
    *,
    estimator: str = DEFAULT_ESTIMATOR,
) -> ASGIApp:
    """An ASGI application that serves indexes, each by the name of its folder.

    `estimator`: of a model that is named by its index alone: kneser-ney, sbis-1, sbis-2, sbis-3,
    longest, mix or mix-full. docs/serving.md has the paths.

    Raises InvalidParameter.

    >>> import infgram
    >>> from starlette.testclient import TestClient
    >>> app = application([infgram.build(["to be or not to be"])])
    >>> client = TestClient(app, base_url="http://localhost")
    >>> client.post("/", json={"query_type": "count", "query": "to be"}).json()["count"]
    2
    """
    settings = settings or Settings()
    catalogue = Catalogue(indexes, estimator)
    catalogue.prepare()
    threads, metrics = Threads(settings.limits), Metrics()
    tokenizing = Tokenizing(catalogue, settings, threads)
    explore = Explore(catalogue, settings, threads)
    pages = Pages(catalogue)
    started = int(time.time())

    async def models(request: Request) -> Response:
        found = [
            {"id": name, "object": "model", "created": started, "owned_by": "infgram"}
            for name in catalogue.model_names()
        ]
        return Json({"object": "list", "data": found})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        catalogue.model(name)
        return Json({"id": name, "object": "model", "created": started, "owned_by": "infgram"})

    async def health(request: Request) -> Response:
        return Json({"status": "ok"})

    async def counted(request: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    async def chat(request: Request) -> Response:
        raise Refusal(
            "an n-gram model has no template of a chat: send the text to /v1/completions", 404
        )

    endpoints: list[tuple[str, str, Endpoint]] = [
        ("POST", "/", InfiniGram(catalogue, settings, threads)),
        ("GET", "/", pages.root),
        ("GET", "/page/{name}", pages.file),
        ("GET", "/favicon.ico", pages.icon),
        ("GET", OPEN, health),
        ("GET", "/metrics", counted),
        ("GET", "/v1/models", models),
        ("GET", "/v1/models/{name}", model),
        ("POST", "/v1/completions", Completions(catalogue, settings, threads, metrics)),
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/tokenize", tokenizing.tokenize),
        ("POST", "/detokenize", tokenizing.detokenize),
        ("GET", "/tokenizer_info", tokenizing.info),
        ("GET", "/api/about", explore.about),
        ("POST", "/api/levels", explore.levels),
        ("POST", "/api/spans", explore.spans),
        ("POST", "/api/trace", explore.trace),
        ("POST", "/{index}/attribution", Attributing(catalogue, settings, threads)),
    ]
    answers = {(method, path): _answering(endpoint) for method, path, endpoint in endpoints}
    routes = [Route(path, answer, methods=[method]) for (method, path), answer in answers.items()]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: _of_the_router})
    paths: dict[object, str] = {answer: path for (_, path), answer in answers.items()}
    return Guard(_Direct(answers, inner), settings, metrics, paths)


class _Direct:
    """In front of a router, which takes a third of the time of a count: paths as they stand."""

    def __init__(self, answers: Mapping[tuple[str, str], Endpoint], router: ASGIApp) -> None:
        self._answers = answers
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get((scope["method"], scope["path"]))
        if answer is None:
            await self._router(scope, receive, send)
            return
        scope["endpoint"] = answer
        response = await answer(Request(scope, receive, send))
        await response(scope, receive, send)


def _answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint; what it raises becomes an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:
            return refusal_of(error).response(request.url.path)

    return answer


async def _of_the_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return Refusal(f"there is nothing at {path!r:.80}", 404).response(path)
    told = f"{request.method} is not for {path!r:.80}"
    return Refusal(told, error.status_code, headers=error.headers).response(path)
