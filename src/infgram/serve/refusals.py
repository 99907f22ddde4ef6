"""How a request is refused: a status, and words for whoever asked.

What is refused says what was found, what was expected and what to do. What is wrong with the index
or the server says no more than that: paths of this machine are nobody's business.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..errors import InfgramError, InputError, InvalidParameter, TokenError
from .answers import Json

_LOG = logging.getLogger("infgram.serve")
_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "timeout_error",
}
CLOSE = {"connection": "close"}


class Refusal(Exception):
    """A request is not answered. `param` is the field that is wrong.

    >>> Refusal("n is 99, expected at most 16", param="n").status
    400
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.headers = dict(headers or {})

    def response(self, path: str) -> Json:
        """In the form that clients of a path read."""
        error: object = self.message
        if path.startswith("/v1/"):
            kind = _KINDS.get(self.status, "invalid_request_error")
            error = {"message": self.message, "type": kind, "param": self.param, "code": None}
        return Json({"error": error}, self.status, self.headers)


def refusal_of(error: Exception) -> Refusal:
    """What an exception means to whoever asked: their fault, or the server's.

    >>> refusal_of(InvalidParameter("n is 0")).status, refusal_of(OSError("/secret")).message
    (400, 'the server failed: its log says how')
    """
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InvalidParameter | TokenError | InputError):
        return Refusal(str(error))
    if isinstance(error, MemoryError):
        return Refusal("there is too little memory: ask for less", 503)
    kind = "an error of the index" if isinstance(error, InfgramError) else "a fault of infgram's"
    _LOG.error("%s", kind, exc_info=error)
    return Refusal("the server failed: its log says how", 500)
