"""The small network that judges and fills in: what it is, how it is trained, kept and asked.

Nowhere else does refine import PyTorch. May touch the index, whose runs are evidence, and words.
"""
