"""Rendered and labelled pages, and what trainers cut from them."""
