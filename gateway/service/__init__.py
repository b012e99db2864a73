"""What runs: the gateway, its worker processes, and who keeps them running."""
