"""infgram over HTTP: infini-gram's API, OpenAI's completions, Ai2's attribution, and a page.

What lives here turns requests into calls of `Index`, `Model` and `attribute`, and what they answer
into JSON. It may use all of infgram but drafting and editing. Alone in importing starlette; alone
in importing uvicorn. The extra `serve` installs both.

`infgram.serve.app.application` makes an ASGI application for any server; `infgram.serve.run.serve`
runs one, as `infgram serve` does. Importing raises MissingExtra where the two are not installed.
"""

from importlib.util import find_spec

from ..errors import MissingExtra
from ..extras import how_to_install

for _needed in ("starlette", "uvicorn"):
    if find_spec(_needed) is None:
        raise MissingExtra(
            f"{_needed} is not installed, and serving needs it: {how_to_install('serve')}"
        )
