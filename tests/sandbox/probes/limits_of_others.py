"""Changing the limits of our processes"""

import resource

from ways import TOLD, attempt

attempt("changed our limits", lambda: resource.prlimit(TOLD["host"], resource.RLIMIT_CPU))
