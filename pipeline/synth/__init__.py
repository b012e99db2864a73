"""The pipeline backwards: signals in, a page and its truth out (paper, ink, camera, fax)."""
