"""Text on its way in and out: files become documents, documents become token ids, ids become text.

Knows nothing of an index. May touch errors and the native core.
"""
