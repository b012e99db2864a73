"""The window: pages for people, an API for programs. Its own process; it meets the rest of the gateway in the store."""
