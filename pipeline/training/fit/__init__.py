"""Fits the tables that the run path reads."""
