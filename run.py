"""The command line of ChatDev 1.0: the same flags, with models on your own server.

python3 run.py --task "create a calculator" --name "Calculator" --model VLLM
"""

from chatdev import prerequisites

prerequisites.check_python()

try:
    from chatdev.cli.classic import main

    if __name__ == "__main__":
        main()
except ModuleNotFoundError as missing:
    prerequisites.report_missing(missing)
    raise
