"""How a file becomes documents: what it is, inflated, decoded, cut. A subject a file.

Knows nothing of tokenizers or of an index. May touch errors, checks and extras.
"""
