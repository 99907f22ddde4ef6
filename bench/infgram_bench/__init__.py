"""Benchmarks: infgram and its rivals at the same work, on the user's machine. `infgram bench`.

One module a question (questions.py lists them), asked in a session whose answers are kept as they
come (session.py); an answer is figures (findings.py), from which text (render.py), pictures and the
README's table are made. bench/README.md in the repository tells the method.
"""
