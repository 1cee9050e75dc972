"""process_vm_readv, pidfd_getfd, kcmp"""

import os

from ways import attempt, call

attempt("read memory", lambda: call("process_vm_readv", os.getpid(), None, 0, None, 0, 0))
attempt("wrote memory", lambda: call("process_vm_writev", os.getpid(), None, 0, None, 0, 0))
attempt("took a descriptor", lambda: call("pidfd_getfd", os.pidfd_open(os.getpid()), 0, 0))
attempt("compared", lambda: call("kcmp", os.getpid(), os.getpid(), 1, 0, 0))
