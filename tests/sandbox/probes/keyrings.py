"""keyctl"""

from ways import attempt, call

attempt("asked for a key ring", lambda: call("keyctl", 0, -3, 1))
attempt("added a key", lambda: call("add_key", b"user", b"probe", b"x", 1, -3))
attempt("requested a key", lambda: call("request_key", b"user", b"probe", None, -3))
