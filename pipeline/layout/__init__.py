"""Which lead is printed where on the paper."""

from pipeline.layout.arrange import Layout, arrange
from pipeline.layout.marked import complete_rows, tilt_deg
from pipeline.layout.names import Name, names_of
from pipeline.layout.rows import Row, extent_mm, find_rows

__all__ = ["Layout", "Name", "Row", "arrange", "complete_rows", "extent_mm", "find_rows", "names_of", "tilt_deg"]
