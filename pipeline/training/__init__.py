"""Makes and judges the weights. Imported by nothing at run time."""
