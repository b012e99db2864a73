"""Decides what becomes of a document and says why: for the worker, `rules explain` and the window's preview alike."""
