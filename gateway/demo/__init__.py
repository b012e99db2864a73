"""The demonstration: a gateway between two stand-in peers, two pages through it, and the proof of what happened."""
