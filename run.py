"""The command line of ChatDev 1.0: the same flags, with models on your own server.

python3 run.py --task "create a calculator" --name "Calculator" --model VLLM
"""

import sys

if sys.version_info < (3, 11):
    sys.stderr.write("ChatDev needs Python 3.11 or newer; this is %d.%d.\n" % sys.version_info[:2])
    sys.stderr.write("Run it with a newer Python.\n")
    sys.exit(2)

try:
    from chatdev.cli.classic import main
except ModuleNotFoundError as missing:
    if missing.name is None or missing.name.split(".")[0] in ("chatdev", "camel"):
        raise
    print(
        f"Error: the package {missing.name} is not installed here.\n"
        f"Install what ChatDev needs with: {sys.executable} -m pip install -r requirements.txt",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    main()
