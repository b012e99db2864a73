"""``python -m gateway`` is the cardioscan command."""

from gateway.cli import main

if __name__ == "__main__":
    main()
