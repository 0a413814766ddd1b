"""Hand-made defects of the protocol's code, each a change of the source: what the simulation must catch.

`old` stands once in the file, and `new` in its place is the defect. Those marked as real were in the code until the
simulation found them.
"""

from simulation.defects.defect import Defect
from simulation.defects.of_cluster import OF_CLUSTER
from simulation.defects.of_search import OF_SEARCH

__all__ = ["DEFECTS", "Defect"]

DEFECTS = (*OF_SEARCH, *OF_CLUSTER)
