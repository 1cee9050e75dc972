"""A company's follow-up requests when an answer lacks something."""

import msgspec


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The requests when an answer lacks something, or its program breaks (``broken``): templates with the variables
    ``paths``, ``why``, ``options`` and ``talk``."""

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
    broken: str = ""


NO_REQUESTS = Requests(**dict.fromkeys(Requests.__struct_fields__, ""))
"""The requests of a company that never repeats a request."""
