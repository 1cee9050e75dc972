"""A company as data: a folder that can be edited without writing Python, read into one frozen value.

A folder holds ``company.toml`` (the chain and the requests for a better answer), ``background.md`` (in the prompt of
every role), ``context.md`` (what is known so far; it precedes every question, so that all calls share a prefix in the
server's prefix cache), ``roles/NAME.md`` and ``phases/NAME.md``. Texts are Jinja2 templates; a phase file begins with
a TOML head between two lines ``+++``.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from chatdev import ownfile, textfile
from chatdev.company import older_keys
from chatdev.company.graph import Network, graph
from chatdev.company.kinds import KINDS
from chatdev.company.parameters import Parameters as Parameters
from chatdev.company.phase import CHIEF as CHIEF
from chatdev.company.phase import COUNSELOR as COUNSELOR
from chatdev.company.phase import MOST_CANDIDATES as MOST_CANDIDATES
from chatdev.company.phase import Phase as Phase
from chatdev.company.requests import NO_REQUESTS as NO_REQUESTS
from chatdev.company.requests import Requests as Requests
from chatdev.company.steps import ChainStep as ChainStep
from chatdev.company.steps import walk as walk
from chatdev.errors import UserError
from chatdev.models.spending import Budget
from chatdev.models.types import Target


class CompanyError(UserError):
    """A company's files cannot be used; the message names the file, the key, what was expected and what was found."""


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str
    chain: tuple[ChainStep, ...]
    requests: Requests = NO_REQUESTS
    model: Parameters = Parameters()
    samples: Parameters = Parameters()
    role_models: Mapping[str, Parameters] = {}
    budget: Budget = Budget()
    values: Mapping[str, str] = {}
    candidates: Annotated[int, msgspec.Meta(ge=1, le=MOST_CANDIDATES)] = 1
    ignored: tuple[str, ...] = ()


class Company(msgspec.Struct, frozen=True):
    """The roles, the phases, and the order of their work.

    ``values`` are placeholders with a fixed text; ``sources`` are the folder's files as read, for the run's copy.
    ``assigned`` are models for roles and phases that were given apart from the folder. ``candidates`` is how many solve
    a phase that writes code in parallel. ``samples`` are the parameters of further samples: see ``parameters``.
    ``ignored`` are the unsupported parts of the ChatDev 1.0 folder that it was made of.
    """

    name: str
    description: str
    chain: tuple[ChainStep, ...]
    roles: Mapping[str, str]
    phases: Mapping[str, Phase]
    background: str
    context: str
    requests: Requests
    values: Mapping[str, str]
    sources: Mapping[str, str]
    model: Parameters = Parameters()
    samples: Parameters = Parameters()
    role_models: Mapping[str, Parameters] = {}
    budget: Budget = Budget()
    candidates: int = 1
    assigned: Mapping[str, Target] = {}
    ignored: tuple[str, ...] = ()

    def parameters(self, phase: Phase, role: str, sample: int = 0) -> dict[str, Any]:
        """The request parameters of a role in a phase, by name: the phase's win over the role's, these over the
        company's.

        A ``sample`` (0: the run is not one) uses its number as the seed; from the second on, ``samples`` applies, too.
        """
        merged = self._merged(phase, role)
        if sample > 1:
            merged |= self.samples.stated
        if sample:
            merged["seed"] = sample
        return {name: value for name, value in merged.items() if name not in ("name", "endpoint")}

    def target(self, phase: Phase, role: str) -> Target:
        """The model of a role in a phase: the one assigned to the phase or the role, else the one in its files."""
        merged = self._merged(phase, role)
        own = Target(merged.get("name", ""), merged.get("endpoint", ""))
        return self.assigned.get(phase.name) or self.assigned.get(role) or own

    def networking(self, network: Network | None) -> "Company":
        """This company with a network in its first step that writes the program; the company itself for None. Phases
        of a network that it does not have are taken from the default company. Raises CompanyError."""
        if network is None:
            return self
        first = next(
            (n for n, step in enumerate(self.chain) if step.phase and KINDS[self.phases[step.phase].kind].program), None
        )
        if first is None:
            raise CompanyError(f"The chain of the company {self.name} has no phase that writes the program.")
        texts = read(BUILT_IN / "default")
        added = {name: texts[name] for name in _OF_NETWORKS if name not in self.sources}
        step = msgspec.structs.replace(self.chain[first], network=network)
        company = msgspec.structs.replace(
            self,
            chain=(*self.chain[:first], step, *self.chain[first + 1 :]),
            phases={**self.phases, **{Path(name).stem: _phase(name, text) for name, text in added.items()}},
            sources={**self.sources, **added},
        )
        _check(company)
        return company

    def racing(self, phase: Phase, typed: int = 0) -> int:
        """How many candidates solve a phase in parallel; ``typed`` wins over the company's files."""
        return (typed or phase.candidates or self.candidates) if KINDS[phase.kind].program else 1

    def _merged(self, phase: Phase, role: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for each in (self.model, self.role_models.get(role, Parameters()), phase.model):
            merged |= each.stated
        return merged

    @property
    def targets(self) -> dict[Target, str]:
        """All models other than the run's own, each with the roles that it answers for, as text."""
        roles_of: dict[Target, dict[str, None]] = {}
        for step in walk(self.chain):
            for role in self.phases[step.phase].speakers if step.phase else ():
                roles_of.setdefault(self.target(self.phases[step.phase], role), {})[role] = None
        roles_of.pop(Target(), None)
        return {target: ", ".join(roles) for target, roles in roles_of.items()}

    def assigning(self, typed: Mapping[str, Target]) -> "Company":
        """This company with other models for roles or phases, by name in any letter case. Raises CompanyError."""
        names = {name.lower(): name for name in (*self.phases, *self.roles)}
        for name in typed:
            if name.lower() not in names:
                raise CompanyError(
                    f'The company {self.name} has no role or phase called "{name}".',
                    do=f"Roles: {', '.join(self.roster)}. Phases: {', '.join(self.phases)}.",
                )
        return msgspec.structs.replace(self, assigned={names[name.lower()]: target for name, target in typed.items()})

    @property
    def roster(self) -> tuple[str, ...]:
        """The roles that speak in this company's chain, in the order of their first appearance."""
        names = dict.fromkeys(
            role
            for step in walk(self.chain)
            if step.phase
            for role in (self.phases[step.phase].user, self.phases[step.phase].assistant)
        )
        return tuple(names)

    @property
    def tests(self) -> bool:
        """Whether a phase writes acceptance tests; without tests, the product is only started."""
        return any(step.phase and KINDS[self.phases[step.phase].kind].tests for step in walk(self.chain))


_OF_NETWORKS = ("phases/NetworkSolve.md", "phases/NetworkReview.md")
BUILT_IN = Path(__file__).parent
CLASSIC_FILES = ("ChatChainConfig.json", "PhaseConfig.json", "RoleConfig.json")
"""Any of these makes a folder a ChatDev 1.0 company; see ``classic_folder``."""


def built_in() -> dict[str, Path]:
    """The folders of the companies that come with ChatDev, by name."""
    return {file.parent.name: file.parent for file in sorted(BUILT_IN.glob("*/company.toml"))}


def find(name: str) -> Path:
    """The folder of a company: a built-in name in any letter case, ``./CompanyConfig/NAME``, or a path.

    The user's own ``CompanyConfig/Default`` comes before the built-in ``default``, as ``replaced`` says. Raises
    CompanyError.
    """
    folders = built_in()
    if own := replaced(name):
        return own
    if folder := folders.get(name.lower()):
        return folder
    places = (Path("CompanyConfig") / name, Path(name))
    for path in places if name else ():
        if _is_company(path):
            return path
    if name.lower() in ("art", "human", "incremental"):
        raise CompanyError(
            f"ChatDev 1.0's company {name.capitalize()} is not yet supported.", do=f"Built in: {', '.join(folders)}."
        )
    raise CompanyError(
        f'There is no company called "{name}".',
        tried=(f"built in: {', '.join(folders)}", *(f"a company's folder: {path}" for path in dict.fromkeys(places))),
        do="Choose one with --config, or create one with: chatdev company new NAME",
    )


def replaced(name: str) -> Path | None:
    """The user's own company in place of a built-in one: ChatDev 1.0's companies are edited in ``CompanyConfig``, and
    ``Default`` is its name for the usual one. The name in lower case is always the built-in company."""
    own = Path("CompanyConfig") / name
    return own if name != name.lower() and name.lower() in built_in() and _is_company(own) else None


def _is_company(folder: Path) -> bool:
    return any((folder / file).is_file() for file in ("company.toml", *CLASSIC_FILES))


def load(folder: Path) -> Company:
    """Read and check a company's folder. Raises CompanyError that names the file and the key."""
    return from_sources(read(folder), f"The company in {folder}")


def read(folder: Path) -> dict[str, str]:
    """The texts of a company's folder by relative path. Raises CompanyError if one cannot be read."""
    return {
        path.relative_to(folder).as_posix(): _text(path) for path in sorted(folder.rglob("*")) if path.suffix in _KINDS
    }


def from_sources(sources: Mapping[str, str], called: str = "The company") -> Company:
    """The company made of these texts. Raises CompanyError as ``load`` does."""
    for needed in ("company.toml", "background.md", "context.md"):
        if needed not in sources:
            raise CompanyError(f"{called} has no {needed}.")
    head = _convert(_present(older_keys.of_company, sources["company.toml"], "company.toml"), _Head, "company.toml")
    roles = {Path(name).stem: text for name, text in sources.items() if name.startswith("roles/")}
    phases = {Path(name).stem: _phase(name, text) for name, text in sources.items() if name.startswith("phases/")}
    company = Company(
        name=head.name,
        description=head.description,
        chain=head.chain,
        roles=roles,
        phases=phases,
        background=sources["background.md"],
        context=sources["context.md"],
        requests=head.requests,
        values=head.values,
        sources=sources,
        model=head.model,
        samples=head.samples,
        role_models=head.role_models,
        budget=head.budget,
        candidates=head.candidates,
        ignored=head.ignored,
    )
    _check(company)
    return company


def write(sources: Mapping[str, str], folder: Path) -> None:
    """Write a company's texts into a folder. Raises OSError."""
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ownfile.write(path, text.encode())


_KINDS = {".toml", ".md"}
T = TypeVar("T")


def _text(path: Path) -> str:
    return textfile.read(path, CompanyError)


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CompanyError(f"{name} is not valid TOML: {error}.") from error


def _present(renamed: Callable[[Mapping[str, Any]], dict[str, Any]], text: str, name: str) -> dict[str, Any]:
    try:
        return renamed(_toml(text, name))
    except ValueError as error:
        raise CompanyError(f"{name}: {error}.") from error


def _convert(value: object, kind: type[T], name: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise CompanyError(f"{name}: {error}.") from error


def _phase(name: str, text: str) -> Phase:
    _, fence, rest = text.partition("+++\n")
    head, closing, question = rest.partition("\n+++\n")
    if not fence or not closing:
        raise CompanyError(f'{name}: expected a TOML head between two lines "+++", found none.')
    values = {**_present(older_keys.of_phase, head, name), "name": Path(name).stem, "question": question.strip()}
    return _convert(values, Phase, name)


def _check(company: Company) -> None:
    for step in walk(company.chain):
        if sum(map(bool, (step.phase, step.run, step.loop, step.parallel))) != 1:
            raise CompanyError(
                f"company.toml: chain: {step.name}: a step has exactly one of phase, run, loop and parallel."
            )
        if step.phase and step.phase not in company.phases:
            raise CompanyError(f"company.toml: chain: phase {step.phase} has no file phases/{step.phase}.md.")
        if step.network:
            _check_network(company, step.phase, step.network)
        if bool(step.loop) != bool(step.steps):
            raise CompanyError(f"company.toml: chain: {step.name}: a loop has steps, and only a loop has them.")
        if step.loop and step.cycles < 1:
            raise CompanyError(f"company.toml: chain: {step.name}: cycles: expected 1 or more, found {step.cycles}.")
        for siblings in (step.steps, step.parallel):
            _check_names(siblings)
        if any(each.with_previous for each in (*step.steps[:1], *step.parallel)):
            raise CompanyError(
                f"company.toml: chain: {step.name}: with_previous: not allowed for a loop's first step or inside "
                "parallel."
            )
    _check_names(company.chain)
    if company.chain and company.chain[0].with_previous:
        raise CompanyError("company.toml: chain: with_previous: not allowed for the first step.")
    for role in company.role_models:
        if role not in company.roles:
            raise CompanyError(f"company.toml: role_models: the role {role} has no file roles/{role}.md.")
    if company.requests is NO_REQUESTS and any(KINDS[phase.kind].repeats for phase in company.phases.values()):
        raise CompanyError("company.toml: requests: expected a table, found none. Only snippet phases work without it.")
    for name, phase in company.phases.items():
        _check_phase(company, f"phases/{name}.md", phase)


def _check_network(company: Company, name: str, network: Network) -> None:
    where = f"company.toml: chain: {name or 'a step'}: network"
    if not name or company.phases[name].kind != "code":
        raise CompanyError(f'{where}: only a phase that writes the program (kind = "code") can have one.')
    for phase, kind in ((network.solve, "code"), (network.review, "talk")):
        if phase not in company.phases or company.phases[phase].kind != kind:
            raise CompanyError(f'{where}: expected a phase with kind = "{kind}" in phases/{phase}.md.')
    try:
        graph(network)
    except ValueError as error:
        raise CompanyError(f"{where}: {error}.") from error


def _check_names(siblings: tuple[ChainStep, ...]) -> None:
    loops = [step.loop for step in siblings if step.loop]
    if len(loops) != len(set(loops)):
        raise CompanyError(f"company.toml: chain: loops on the same level need different names, found {loops}.")


_NEEDED = {
    "sets": "the name of the conclusion",
    "options": "a list of choices",
    "writes": "the path of the document",
}


def _check_phase(company: Company, name: str, phase: Phase) -> None:
    for role in phase.speakers:
        if role not in company.roles:
            raise CompanyError(f"{name}: the role {role} has no file roles/{role}.md.")
    if phase.assistant == phase.user:
        raise CompanyError(f"{name}: user: expected a role other than the assistant, found {phase.user} twice.")
    if unknown := sorted(set(phase.words) - set(phase.options)):
        raise CompanyError(f"{name}: words: {unknown[0]} is not one of the options.")
    for key in KINDS[phase.kind].needs:
        if not getattr(phase, key):
            raise CompanyError(f"{name}: {key}: expected {_NEEDED[key]}, found none.")
    if phase.repairs and not company.requests.broken:
        raise CompanyError(f"{name}: repairs: company.toml has no requests.broken, the request for a repair.")
    if phase.turns < 1:
        raise CompanyError(f"{name}: turns: expected 1 or more, found {phase.turns}.")
