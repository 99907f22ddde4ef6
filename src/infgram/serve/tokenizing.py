"""What clients ask of a tokenizer: ids of a text, text of ids, and how texts end.

As vLLM's server has them: lm-evaluation-harness finds its tokenizer so.
"""

from __future__ import annotations

from starlette.requests import Request

from .answers import Json
from .catalogue import END_OF_TEXT, Catalogue
from .fields import Fields, read_object
from .refusals import Refusal
from .settings import Settings
from .work import Threads


class Tokenizing:
    """The endpoints."""

    def __init__(self, catalogue: Catalogue, settings: Settings, threads: Threads) -> None:
        self._catalogue = catalogue
        self._settings = settings
        self._threads = threads

    async def tokenize(self, request: Request) -> Json:
        """The ids of a text; that of its end where the text is how that is written."""
        limits = self._settings.limits
        fields = Fields(await read_object(request, limits))
        index = self._catalogue.model(fields.take("model")).hosted.index
        text = fields.text("prompt", most=limits.body_bytes)
        fields.flag("add_special_tokens")  # there are none
        fields.flag("return_token_strs")
        fields.end()
        if text == END_OF_TEXT:
            ids = [index.end_of_text]
        else:
            ids = await self._threads.run(lambda: index.ids(text).tolist())
        return Json({"tokens": ids, "count": len(ids), "max_model_len": limits.prompt_tokens})

    async def detokenize(self, request: Request) -> Json:
        """The text of ids; an end of a text has none."""
        fields = Fields(await read_object(request, self._settings.limits))
        index = self._catalogue.model(fields.take("model")).hosted.index
        ids = fields.take("tokens")
        fields.end()
        if not isinstance(ids, list) or not all(type(each) is int for each in ids):
            raise Refusal("tokens must be a list of token ids", param="tokens")
        index.tokenizer.check(ids, ends=True)
        kept = [each for each in ids if each != index.end_of_text]
        return Json({"prompt": await self._threads.run(lambda: index.decode(kept))})

    async def info(self, request: Request) -> Json:
        """How a text ends, and that there is no template of a chat."""
        index = self._catalogue.model(request.query_params.get("model")).hosted.index
        return Json(
            {
                "tokenizer_class": f"infgram ({index.tokenizer.name})",
                "eos_token": END_OF_TEXT,
                "eos_token_id": index.end_of_text,
                "bos_token": None,
                "pad_token": None,
                "vocab_size": index.tokenizer.vocab_size,
                "chat_template": None,
            }
        )
