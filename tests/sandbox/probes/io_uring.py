"""io_uring"""

from ways import attempt, call

attempt("made a ring", lambda: call("io_uring_setup", 1, bytes(120)))
