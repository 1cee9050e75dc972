"""``python3 -m chatdev``: the command line of a clone that is not installed."""

import os
import sys

# -m puts the current folder first on sys.path. In a product's folder, its click.py would then be imported as ours. Only
# modules that Python has already loaded are used before the entry is removed.
if os.path.realpath(sys.path[0] or ".") == os.path.realpath(".") != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

from chatdev import prerequisites

prerequisites.check_python()

try:
    from chatdev.cli.main import main

    main()  # a command imports most packages when it runs
except ModuleNotFoundError as missing:
    prerequisites.report_missing(missing)
    raise
