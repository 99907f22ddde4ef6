"""What of a text comes from the corpus, and what a corpus has of itself.

Counts, runs and places of the index, exact; no model. May touch the index and its cursors; `dedup`
builds indexes of what it has left.
"""
