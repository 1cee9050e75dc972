"""Deleting outside the project"""

import os

from ways import TOLD, attempt

outside = TOLD["outside"]
attempt("deleted a file", lambda: os.unlink(outside + "/precious"))
attempt("renamed a file", lambda: os.rename(outside + "/precious", outside + "/gone"))
attempt("took a file in", lambda: os.rename(outside + "/precious", "taken"))
attempt("deleted a folder", lambda: os.rmdir(outside + "/empty"))
