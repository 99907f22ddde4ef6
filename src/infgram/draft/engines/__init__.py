"""Drafting inside the engines that serve models: a file or a folder an engine, alone in knowing it.

Each translates between an engine's requests and a drafter's. May touch the drafter and its engine.
"""
