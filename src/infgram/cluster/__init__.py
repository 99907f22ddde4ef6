"""A corpus that outgrows a machine: its parts built and asked by Ray, on as many as there are.

Tasks and actors are Ray's, and so are scheduling, restarts and membership; here is what they do,
and how answers of parts become one. May touch indexes and the definition of SBIS.
"""

from .building import build
from .gathering import Cluster, open

__all__ = ["Cluster", "build", "open"]
