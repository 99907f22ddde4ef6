"""The kinds of tokenizers, a file a kind, and what they have in common.

`infgram.text.tokens` makes them by name. Knows nothing of corpora or of an index. May touch errors,
extras and the native core.
"""
