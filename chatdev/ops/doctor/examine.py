"""Runs all checks in order and reports each finding as soon as it is known."""

import asyncio
import datetime
from collections.abc import AsyncIterator, Callable

import msgspec

from chatdev.models import address as addresses
from chatdev.models import discover, endpoint
from chatdev.models.address import Address
from chatdev.models.endpoint import Facts
from chatdev.models.errors import ModelError
from chatdev.models.profile import Profile, Profiles
from chatdev.models.transport import Transport
from chatdev.ops.doctor import access, answers, host, skill, speed
from chatdev.ops.doctor.findings import Diagnosis, Finding
from chatdev.ops.doctor.subject import Subject
from chatdev.redaction import Redactor
from chatdev.settings import Settings

Show = Callable[[Finding], None]


async def find(settings: Settings) -> tuple[Address, tuple[Facts, ...]]:
    """The endpoint that a run would use. If none is set: the first server that listens here, else the default address.

    Also returns all servers that were found in that case.
    """
    own = addresses.of_vllm(settings)
    if settings.vllm_endpoint is not None:
        return own, ()
    found = await discover.servers(own)
    if not found:
        return own, ()
    return msgspec.structs.replace(own, base_url=found[0].base_url), found


async def examine(address: Address, wanted: str, settings: Settings, show: Show = lambda finding: None) -> Diagnosis:
    """Examine one endpoint. ``show`` gets each finding as it comes. The results are saved as the endpoint's profile."""
    line = Transport(address)
    redactor = Redactor(settings.secrets)
    findings: list[Finding] = []

    def add(finding: Finding) -> None:
        findings.append(redactor.value(finding))
        show(findings[-1])

    add(host.settings(settings))
    try:
        try:
            facts = await endpoint.ask(line, wanted)
        except ModelError as error:
            for finding in access.closed(address, error, host.holder(address)):
                add(finding)
            return Diagnosis(endpoint=address.base_url, findings=tuple(findings))
        engine, version = await endpoint.identify(line, facts.engine)
        for finding in access.opened(address, facts, engine, version):
            add(finding)
        profile = Profile(address.base_url, facts.model, engine=engine, version=version)
        subject = Subject(line, facts, profile)
        async for finding in _tried(subject, paid=not address.free):
            add(finding)
        async for finding in _around(address):
            add(finding)
    finally:
        await line.aclose()
    return redactor.value(_kept(subject, findings, settings))


async def _tried(subject: Subject, *, paid: bool) -> AsyncIterator[Finding]:
    """The checks that call the model. If the server rejects a chat, the others are skipped."""
    yield await answers.chat(subject)
    if subject.refused:
        return
    async for finding in answers.stream(subject):
        yield finding
    if not subject.seen:
        return
    yield await answers.reasoning(subject)
    yield await answers.structured(subject)
    yield await answers.counting(subject)
    yield await answers.seed(subject)
    if subject.facts.size is None:
        yield await skill.skill(subject)
    yield await speed.prefix_cache(subject)
    yield await speed.latency(subject)
    if paid:
        yield Finding("in flight", "not known", "Not measured: each call costs money here.")
    else:
        yield await speed.in_flight(subject)
    if subject.adapted:
        yield Finding("dialect", "good", f"Requests are adapted to this server: {'; '.join(sorted(subject.adapted))}.")


async def _around(address: Address) -> AsyncIterator[Finding]:
    if finding := host.traffic(address) or await host.exposure(address):
        yield finding
    yield await asyncio.to_thread(host.gpus, address)


def _kept(subject: Subject, findings: list[Finding], settings: Settings) -> Diagnosis:
    today = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    profile = msgspec.structs.replace(subject.profile, date=today, adaptations=tuple(sorted(subject.adapted)))
    kept = Profiles(settings.cache, Redactor(settings.secrets)).put(profile) if subject.seen else None
    return Diagnosis(
        endpoint=profile.base_url,
        model=profile.model,
        engine=profile.engine,
        version=profile.version,
        findings=tuple(findings),
        profile=profile,
        kept=str(kept or ""),
    )
