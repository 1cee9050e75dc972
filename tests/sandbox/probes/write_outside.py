"""Writing outside the project"""

import os

from ways import TOLD, attempt

outside, file = TOLD["outside"], TOLD["outside"] + "/precious"


def through_a_link() -> None:
    os.symlink(file, "a-link")
    open("a-link", "w").close()


def through_a_hard_link() -> None:
    os.link(file, "hard")
    open("hard", "w").close()


attempt("wrote a new file", lambda: open(outside + "/new", "w"))
attempt("wrote an old file", lambda: open(file, "a"))
attempt("emptied a file", lambda: os.truncate(file, 0))
attempt("made a folder", lambda: os.mkdir(outside + "/folder"))
attempt("made a link", lambda: os.symlink("x", outside + "/link"))
attempt("wrote through a link", through_a_link)
attempt("wrote through a hard link", through_a_hard_link)
attempt("moved a file out", lambda: os.rename("told.json", outside + "/told.json"))
attempt("wrote to /usr", lambda: open("/usr/local/chatdev-probe", "w"))
attempt("wrote to /etc", lambda: open("/etc/chatdev-probe", "w"))
