"""Benchmarks: one module a question, run as `python -m bench.queries`. See README.md."""
