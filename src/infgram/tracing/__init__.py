"""What of a text comes from the corpus, and what a corpus has of itself.

Counts, runs, spans and places of indexes, exact; no model. May touch indexes and their cursors;
`dedup` builds indexes of what it has left.
"""
