"""What of a text comes from the corpus.

Counts, runs and spans of indexes, exact; no model. May touch indexes and their cursors.
"""
