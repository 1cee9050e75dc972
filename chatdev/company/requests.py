"""What a company says when an answer lacks something."""

import msgspec


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said when an answer lacks something; templates that see ``paths``, ``why``, ``options`` and ``talk``."""

    no_files: str
    cut: str
    elided: str
    refused: str
    choice: str
    no_tests: str
    vacuous: str
    document: str
    reply: str
    reflect: str


NO_REQUESTS = Requests(**dict.fromkeys(Requests.__struct_fields__, ""))
"""Those of a company that never asks again."""
