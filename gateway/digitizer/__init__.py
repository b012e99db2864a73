"""A file read once and forgotten, by a process of its own: who asks loads no networks, and gets their memory back."""
