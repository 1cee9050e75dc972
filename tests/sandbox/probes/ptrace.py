"""ptrace"""

import os

from ways import attempt, call

attempt("traced itself", lambda: call("ptrace", 0, 0, 0, 0))
attempt("traced its parent", lambda: call("ptrace", 16, os.getppid(), 0, 0))
