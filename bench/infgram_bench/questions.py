"""All questions, in the order in which they are asked."""

from __future__ import annotations

from . import (
    building,
    drafting,
    drafting_speed,
    frontier,
    generation,
    gpu,
    growth,
    judge,
    models,
    neural,
    peers,
    queries,
    refining,
)
from .question import Question

QUESTIONS: tuple[Question, ...] = (
    queries.QUESTION,
    generation.QUESTION,
    models.QUESTION,
    neural.QUESTION,
    judge.QUESTION,
    peers.QUESTION,
    growth.QUESTION,
    building.QUESTION,
    frontier.QUESTION,
    drafting.QUESTION,
    drafting_speed.QUESTION,
    refining.QUESTION,
    gpu.QUESTION,
)
