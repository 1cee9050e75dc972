"""``python3 -m chatdev``: the command line of a clone that is not installed."""

import os
import sys

# -m puts the current folder first, which may be a product's: its click.py would be taken for ours. Only modules that
# Python itself has loaded already are used before that is undone.
if os.path.realpath(sys.path[0] or ".") == os.path.realpath(".") != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

from chatdev.cli.main import main

main()
