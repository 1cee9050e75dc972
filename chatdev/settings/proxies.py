"""Which proxy leads to an address: ``proxy`` in ``chatdev.toml``, else the variables that all programs share."""

import ipaddress
from collections.abc import Mapping

import msgspec

from chatdev.errors import SettingsError
from chatdev.settings.secret import Secret
from chatdev.settings.urls import host_of, is_this_machine, shown, split


class Proxies(msgspec.Struct, frozen=True, kw_only=True):
    """``own`` is from ``chatdev.toml``. ``shared`` are those of the environment by scheme (``http``, ``https``,
    ``all``), ``names`` the variables that hold them, and ``without`` the hosts that NO_PROXY names."""

    own: Secret | None = None
    shared: Mapping[str, Secret] = {}
    names: Mapping[str, str] = {}
    without: tuple[str, ...] = ()

    def to(self, url: str) -> Secret | None:
        """The proxy for ``url``; None for a direct connection, as always to this machine.

        Raises SettingsError if the environment names a proxy for it that cannot be used.
        """
        host = host_of(url)
        if is_this_machine(host):
            return None
        if self.own:
            return self.own
        scheme = url.partition("://")[0].lower()
        used = next((each for each in (scheme, "all") if each in self.shared), None)
        if used is None or self._excludes(host):
            return None
        address = self.shared[used].reveal()
        return Secret(checked(address if "://" in address else f"http://{address}", self.names[used]))

    def _excludes(self, host: str) -> bool:
        return any(_matches(host, pattern) for pattern in self.without)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them, with their logins."""
        return tuple(each.reveal() for each in (self.own, *self.shared.values()) if each)


def load(environ: Mapping[str, str], own: str, where: str) -> Proxies:
    """The proxies of this process; ``where`` names the setting of ``own``. Raises SettingsError."""
    shared: dict[str, Secret] = {}
    names: dict[str, str] = {}
    for scheme in ("http", "https", "all"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            if scheme not in shared and (value := environ.get(name, "").strip()):
                shared[scheme], names[scheme] = Secret(value), name
    excluded = environ.get("no_proxy", "") or environ.get("NO_PROXY", "")
    without = tuple(each.strip().lower() for each in excluded.replace(" ", ",").split(",") if each.strip())
    return Proxies(own=Secret(checked(own, where)) if own else None, shared=shared, names=names, without=without)


def checked(address: str, name: str) -> str:
    """The proxy's address, if it is one that can be used. Raises SettingsError with its setting's ``name``."""
    scheme, separator, _ = address.partition("://")
    if not separator:
        why = "it has no scheme"
    elif scheme.lower() not in ("http", "https"):
        why = f"proxies of the kind {scheme[:10]} are not supported"
    else:
        parts, why = split(address)
        if parts is not None:
            return address
    raise SettingsError(
        f"{name} is not the address of a proxy: {shown(address)!r}{f' ({why})' if why else ''}.",
        do="Set it to an address like http://proxy.example:3128.",
    )


def _matches(host: str, pattern: str) -> bool:
    """Whether an entry of NO_PROXY covers a host: ``*``, a network, an address, or a domain with all below it."""
    if pattern == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern.strip("[]"), strict=False)
    except ValueError:
        pass
    name = pattern.partition(":")[0].removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
