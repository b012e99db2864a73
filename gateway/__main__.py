"""``python -m gateway`` is the cardioscan command."""

from gateway.commands.main import main

if __name__ == "__main__":
    main()
