"""Tests of who may use the window."""
