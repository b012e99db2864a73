"""One trainer a network."""
