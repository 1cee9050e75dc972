"""~/.ssh and the rest of the home"""

import os

from ways import TOLD, attempt

attempt("read a key of SSH", lambda: open(TOLD["home"] + "/.ssh/id_ed25519").read())
attempt("listed a home", lambda: os.listdir(TOLD["home"]))
attempt("read a file of the real home", lambda: open(TOLD["real_home"] + "/.bashrc").read())
attempt("listed .ssh of the real home", lambda: os.listdir(TOLD["real_home"] + "/.ssh"))
attempt("read /etc/shadow", lambda: open("/etc/shadow").read())
