"""``python3 -m chatdev``: the command line of a clone that is not installed."""

from chatdev.cli.main import main

main()
