"""Language models over an index: estimators, their fits, what they write and how they are judged.

An estimator is a class of estimators.py over what it looks at (context.py). `Model` asks it, and
the core does the same sums natively. May touch the index and its cursors, not their files.
"""
