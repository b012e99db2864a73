"""The hospital's side: takes pages in, gives recordings out, loses nothing."""
