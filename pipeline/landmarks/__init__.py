"""Stage 0: which way up the page lies, where its lead names are printed, and the points that make its layout."""

from pipeline.landmarks.lettering import (
    Registration,
    combined,
    map_upright,
    register,
    set_upright,
)
from pipeline.landmarks.network import PageReader, Reading

__all__ = ["PageReader", "Reading", "Registration", "combined", "map_upright", "register", "set_upright"]
