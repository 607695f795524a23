"""What happens at the two ends of an axis, and where the samples lie on it."""

from enum import StrEnum


class Boundary(StrEnum):
    """Condition at both ends of one axis; its values are data of the problem, its kind belongs to the grid."""

    PERIODIC = "periodic"
    DIRICHLET = "dirichlet"
    NEUMANN = "neumann"
    WALL = "wall"
    OPEN = "open"


class Centring(StrEnum):
    """Cell: samples at (i + 1/2) h. Node: at i h, the left end in; the right end in too unless the axis is periodic."""

    CELL = "cell"
    NODE = "node"
