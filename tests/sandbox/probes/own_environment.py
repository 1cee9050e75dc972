"""A key in its own environment"""

import os

from ways import TOLD

if TOLD["key"] in str(dict(os.environ)):
    print("the key is in its environment")
