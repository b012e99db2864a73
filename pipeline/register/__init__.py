"""Stage 0: which way up the page lies, where its lead names are printed, and the points that make its layout."""

from pipeline.register.lettering import Registration, map_upright, register, set_upright
from pipeline.register.network import PageReader

__all__ = ["PageReader", "Registration", "map_upright", "register", "set_upright"]
