"""Drafting for neural language models: an index proposes, the model verifies, nothing is lost.

Speculative decoding (Leviathan, Kalman and Matias 2023) with an n-gram drafter: `Drafter` proposes
tokens that may come next, the model reads all of them in one step, and `greedy` or `sample` tell
which of them it would have written itself. `TextDrafter` does so from indexes of bytes for models
with any tokenizer, `simulate` tells from a model's past outputs whether it would help. Engines:
`infgram.draft.engines.huggingface`, `.vllm`, `.llama_cpp`, `.sglang`.

>>> import infgram
>>> from infgram.draft import Drafter, greedy
>>> drafter = Drafter(infgram.build(["to be or not to be"]), max_tokens=4, tree=False)
>>> drafter.start("a request", list(b"to be or "))
>>> draft = drafter.propose("a request")
>>> greedy(draft, list(b"not t")).num_accepted  # what the model's choices make of it
4
"""

from .drafter import Draft, Drafter, Totals
from .simulation import Simulation, Trace, simulate
from .text_drafter import TextDrafter
from .verify import Verified, greedy, sample

__all__ = [
    "Draft",
    "Drafter",
    "Simulation",
    "TextDrafter",
    "Totals",
    "Trace",
    "Verified",
    "greedy",
    "sample",
    "simulate",
]
