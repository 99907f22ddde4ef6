"""What of a text comes from the corpus.

Counts and runs of the index, exact; no model. May touch the index and its cursors.
"""
