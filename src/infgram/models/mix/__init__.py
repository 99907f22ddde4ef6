"""A log-linear mixture over binary questions: what it sees of a text, what it learnt, its law.

The only estimator whose weights are learnt, some hundred thousand numbers, by gradient descent on
the index's own text. May touch the index, Kneser-Ney, and what is kept beside an index. The core's
twin is csrc/infgram/models/mix.
"""
