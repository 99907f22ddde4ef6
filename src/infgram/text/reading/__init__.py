"""How a file becomes documents: what it is, inflated, decoded, cut. A subject a file.

Knows nothing of tokenizers or of an index. May touch errors, checks and extras.

>>> from infgram.text.corpus import plan_any
>>> [document.content for document in plan_any([{"text": "to be", "act": 3}])[0].documents()]
[b'to be']
"""
