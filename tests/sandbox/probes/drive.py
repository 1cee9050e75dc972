"""Runs each probe in a process of its own, and tells what it printed: a JSON object, by name."""

import json
import os
import runpy
import sys
import traceback


def main() -> None:
    said = {}
    for name in sys.argv[1:]:
        out, end = os.pipe()
        if (child := os.fork()) == 0:
            os.dup2(end, 1)
            os.close(out)
            try:
                runpy.run_module(name, run_name="__main__")
                sys.stdout.flush()
            except Exception:
                os.write(1, b"broken: " + traceback.format_exc().encode())
            finally:
                os._exit(0)
        os.close(end)
        with open(out, "rb") as file:
            said[name] = file.read().decode().splitlines()
        os.waitpid(child, 0)
    print(json.dumps(said))


main()
