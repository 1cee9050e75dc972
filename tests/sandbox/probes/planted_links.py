"""Links planted for the cleanup"""

import os

from ways import TOLD

os.symlink(TOLD["outside"], "planted")
os.symlink(TOLD["outside"], "../home/planted")
os.makedirs("shut/in")
os.symlink(TOLD["outside"], "shut/in/planted")
os.chmod("shut/in", 0)
os.chmod("shut", 0)
