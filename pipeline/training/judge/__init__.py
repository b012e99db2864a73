"""Judges networks, stages and the whole digitizer."""
