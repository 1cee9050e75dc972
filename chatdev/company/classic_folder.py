"""A company's folder in the format of ChatDev 1.0: three JSON files, converted to the texts of a native folder.

``ChatChainConfig.json`` has the chain, the recruited roles and the switches; ``PhaseConfig.json`` the roles and the
question of each phase; ``RoleConfig.json`` each role's system prompt. A missing file is replaced by ``classic``'s. The
result is the same whether the folder is used as it is or converted first: both go through the native texts.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from chatdev import textfile
from chatdev.company import config
from chatdev.company.config import CHIEF, COUNSELOR, ChainStep, Company, CompanyError, Phase

CHAIN, PHASES, ROLES = config.CLASSIC_FILES

PLACEHOLDERS = {
    name: f"{{{{ {name} }}}}"
    for name in (
        *("task", "modality", "language", "ideas", "description", "gui", "chatdev_prompt"),
        *("comments", "error_summary", "requirements"),
    )
} | {
    "codes": "{{ program }}",
    "unimplemented_file": "{{ unfinished }}",
    "test_reports": "{{ '\\n' ~ fenced(started, 'text') ~ '\\n' if started else '' }}",
}
"""ChatDev 1.0's placeholders and the native ones; ``assistant_role`` is filled in immediately."""

_UNSET = dict.fromkeys(("ideas", "description", "comments", "error_summary"), "")
_IN_PHASES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")  # as in Python's str.format: a doubled brace is a brace
_IN_ROLES = re.compile(r"\{(\w+)\}")  # 1.0 used plain replacement: other braces are literal
_NOT_YET_PHASES = {"Art", "ArtDesign", "ArtIntegration", "HumanAgentInteraction", "CodeReviewHuman"}
_NOT_YET = ("git_management", "web_spider", "self_improve", "incremental_develop", "with_memory", "brainstorming")
_TURNS = 10
IGNORE = "--ignore-unsupported"
"""The option that ignores what is not supported yet."""

_Switch = bool | str
T = TypeVar("T")


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phase: str
    phaseType: Literal["SimplePhase", "ComposedPhase"]  # noqa: N815 - the file's own keys
    max_turn_step: int = 0
    need_reflect: _Switch = False
    cycleNum: int = 1  # noqa: N815
    Composition: tuple["_Step", ...] = ()


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chain: tuple[_Step, ...]
    recruitments: tuple[str, ...]
    clear_structure: _Switch = True
    gui_design: _Switch = True
    git_management: _Switch = False
    web_spider: _Switch = False
    self_improve: _Switch = False
    incremental_develop: _Switch = False
    with_memory: _Switch = False
    brainstorming: _Switch = False
    background_prompt: str = ""


class _Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    assistant_role_name: str
    user_role_name: str
    phase_prompt: tuple[str, ...] | str


def load(folder: Path, *, ignore_unsupported: bool = False) -> Company:
    """The company in a folder of either format. Raises CompanyError with file, key, what was expected and found.

    ``ignore_unsupported`` leaves out what is not supported yet in a ChatDev 1.0 folder; the company lists it in
    ``ignored``.
    """
    if (folder / "company.toml").exists() or not any((folder / name).exists() for name in config.CLASSIC_FILES):
        return config.load(folder)
    sources = convert(folder, ignore_unsupported=ignore_unsupported)
    return config.from_sources(sources, f"The company in {folder}")


def convert(folder: Path, *, ignore_unsupported: bool = False) -> dict[str, str]:
    """The texts of the native folder for a ChatDev 1.0 folder, by relative path. Raises CompanyError."""
    classic = config.load(config.BUILT_IN / "classic")
    settings = _read(folder / CHAIN, _Settings) or _settings(classic)
    unsupported = _Unsupported(ignore=ignore_unsupported)
    for switch in _NOT_YET:
        if _on(getattr(settings, switch), f"{CHAIN}: {switch}"):
            unsupported.found(
                f"switch {switch}",
                f"{CHAIN}: {switch}: expected False, found True. This is not yet supported.",
                do=f'Set {switch} to "False"',
            )
    _on(settings.clear_structure, f"{CHAIN}: clear_structure")  # nothing to do: no __pycache__ is ever delivered
    roles = _roles(_read(folder / ROLES, dict[str, tuple[str, ...] | str]), classic)
    phases = _Phases(settings, _read(folder / PHASES, dict[str, _Text]) or {}, roles, classic, unsupported)
    chain = tuple(phases.steps(settings.chain, "chain"))
    _check_rest(phases, unsupported)
    values = {
        "chatdev_prompt": settings.background_prompt or classic.values["chatdev_prompt"],
        "gui": classic.values["gui"] if _on(settings.gui_design, f"{CHAIN}: gui_design") else "",
    }
    values |= phases.without_conclusions
    return {
        "company.toml": _company(
            folder.resolve().name, chain, {**_UNSET, **values}, classic, tuple(dict.fromkeys(unsupported.ignored))
        ),
        "background.md": classic.background,
        "context.md": classic.context,
        **{f"roles/{_file(name, ROLES)}.md": text for name, text in roles.items()},
        **{f"phases/{_file(name, PHASES)}.md": _phase(phase) for name, phase in phases.found.items()},
    }


class _Unsupported:
    """The switches and phases of a folder that are not supported: each is an error, or it is ``ignored``."""

    def __init__(self, *, ignore: bool) -> None:
        self._ignore = ignore
        self.ignored: list[str] = []

    def found(self, what: str, error: str, do: str) -> None:
        """Ignore ``what``. Raises CompanyError with this text if nothing is to be ignored."""
        if not self._ignore:
            raise CompanyError(error, do=f"{do}, or ignore it with {IGNORE}.")
        self.ignored.append(what)


def _check_rest(phases: "_Phases", unsupported: _Unsupported) -> None:
    """Raises CompanyError if what is left without the unsupported parts cannot do any work."""
    if unsupported.ignored and not phases.found:
        raise CompanyError(f"{CHAIN}: chain: no phase is left without those that are not supported.")
    if "switch incremental_develop" in unsupported.ignored and not any(
        phase.kind == "code" for phase in phases.found.values()
    ):
        raise CompanyError(
            f"{CHAIN}: incremental_develop cannot be ignored here: no phase of the chain writes the program.",
            do="Add the phase Coding to the chain.",
        )


def _read(path: Path, kind: type[T]) -> T | None:
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(textfile.read(path, CompanyError), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:  # includes ValidationError: it names the key
        raise CompanyError(f"{path.name}: {error}.") from error


def _on(value: _Switch, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if (word := value.strip().lower()) not in ("true", "false"):
        raise CompanyError(f'{where}: expected "True" or "False", found {value!r}.')
    return word == "true"


def _file(name: str, source: str) -> str:
    if not name.strip() or name.startswith(".") or any(mark in name for mark in "/\\\0\n"):
        raise CompanyError(f"{source}: {name!r} cannot be used as a file name.")
    return name


def _settings(classic: Company) -> _Settings:
    """``classic`` in the format of ChatDev 1.0."""

    def steps(native: tuple[ChainStep, ...]) -> tuple[_Step, ...]:
        return tuple(
            _Step(step.loop, "ComposedPhase", cycleNum=step.cycles, Composition=steps(step.steps))
            if step.loop
            else _Step(step.phase, "SimplePhase", classic.phases[step.phase].turns, classic.phases[step.phase].reflect)
            for step in native
            if not step.run
        )

    return _Settings(chain=steps(classic.chain), recruitments=tuple(classic.roles))


def _roles(descriptions: Mapping[str, tuple[str, ...] | str] | None, classic: Company) -> dict[str, str]:
    if descriptions is None:
        return dict(classic.roles)
    names = {name: PLACEHOLDERS[name] for name in ("chatdev_prompt", "task")}
    return {role: _translate(_lines(text), _IN_ROLES, names, f"{ROLES}: {role}") for role, text in descriptions.items()}


def _lines(text: tuple[str, ...] | str) -> str:
    return text if isinstance(text, str) else "\n".join(text)


class _Phases:
    """The phases that a chain names, collected on the way through it."""

    def __init__(
        self,
        settings: _Settings,
        texts: Mapping[str, _Text],
        roles: Mapping[str, str],
        classic: Company,
        unsupported: _Unsupported,
    ) -> None:
        self.found: dict[str, Phase] = {}
        self._texts, self._unsupported = texts, unsupported
        self._left_out: list[str] = []
        self._recruited = {role: role in roles for role in settings.recruitments}
        self._native_phases = classic.phases
        self._loops = {step.loop: step for step in classic.chain if step.loop}
        self._names = PLACEHOLDERS | {
            step.phase: f"{{{{ {_name(step.phase)} }}}}"
            for step in _walk(settings.chain)
            if step.phaseType == "SimplePhase" and step.phase not in classic.phases
        }

    @property
    def without_conclusions(self) -> dict[str, str]:
        """Empty placeholders for the conclusions of phases that are left out: later phases may use them."""
        return {_name(phase): "" for phase in self._left_out if phase in self._names and phase not in self.found}

    def steps(self, steps: tuple[_Step, ...], where: str) -> Iterator[ChainStep]:
        """The supported steps, converted. A loop is left out if nothing in it is supported."""
        occurrences: Counter[str] = Counter()
        for number, step in enumerate(steps):
            here = f"{where}[{number}]"
            if step.phase in _NOT_YET_PHASES:
                self._leave_out(step, here)
                continue
            if (step.phaseType == "ComposedPhase") != bool(step.Composition):
                wanted, has = ("a list of phases", "none") if not step.Composition else ("none", "a list of phases")
                raise CompanyError(
                    f"{CHAIN}: {here}.Composition: expected {wanted} in a {step.phaseType}, found {has}."
                )
            if step.phaseType == "ComposedPhase":
                occurrences[step.phase] += 1
                loop = self._loop(step, here, f"-{occurrences[step.phase]}" if occurrences[step.phase] > 1 else "")
                if any(inner.phase or inner.loop for inner in loop.steps):
                    yield loop
            else:
                self._simple(step, here)
                yield ChainStep(phase=step.phase)

    def _leave_out(self, step: _Step, here: str) -> None:
        inner = [each.phase for each in _walk(step.Composition)]
        self._unsupported.found(
            f"phase {step.phase}" + (f" ({', '.join(inner)})" if inner else ""),
            f"{CHAIN}: {here}.phase: {step.phase} is not yet supported.",
            do="Remove this phase from the chain",
        )
        self._left_out += [step.phase, *inner]

    def _loop(self, step: _Step, here: str, suffix: str) -> ChainStep:
        if step.cycleNum < 1:
            raise CompanyError(f"{CHAIN}: {here}.cycleNum: expected 1 or more, found {step.cycleNum}.")
        native_loop = self._loops.get(step.phase)
        runs = tuple(inner for inner in native_loop.steps if inner.run) if native_loop else ()
        inner = tuple(self.steps(step.Composition, f"{here}.Composition"))
        until = native_loop.until if native_loop else "finished"
        return ChainStep(loop=step.phase + suffix, steps=runs + inner, cycles=step.cycleNum, until=until)

    def _simple(self, step: _Step, here: str) -> None:
        reflect = _on(step.need_reflect, f"{CHAIN}: {here}.need_reflect")
        turns = step.max_turn_step if step.max_turn_step > 0 else _TURNS
        phase = msgspec.structs.replace(self._phase(step.phase), turns=turns, reflect=reflect)
        if self.found.setdefault(step.phase, phase) != phase:
            raise CompanyError(
                f"{CHAIN}: {here}: expected the same max_turn_step and need_reflect as before for {step.phase}, "
                f"found {step.max_turn_step} and {reflect}.",
                do="Give the second one its own name in PhaseConfig.json.",
            )
        for role in (phase.assistant, phase.user, *((CHIEF, COUNSELOR) if reflect else ())):
            if not self._recruited.get(role):
                file, key = (ROLES, role) if role in self._recruited else (CHAIN, "recruitments")
                raise CompanyError(f"{file}: {key}: expected the role {role} (needed by {step.phase}), found none.")

    def _phase(self, name: str) -> Phase:
        native, text = self._native_phases.get(name), self._texts.get(name)
        if text is None and native is not None:
            return native
        if text is None:
            raise CompanyError(f"{PHASES}: {name}: expected this phase (named in {CHAIN}), found none.")
        if text.assistant_role_name == text.user_role_name:
            raise CompanyError(
                f"{PHASES}: {name}: user_role_name: expected a role other than the assistant's, "
                f"found {text.user_role_name} twice."
            )
        names = self._names | {"assistant_role": _literal(text.assistant_role_name)}
        question = _translate(_lines(text.phase_prompt), _IN_PHASES, names, f"{PHASES}: {name}: phase_prompt")
        invented = Phase(assistant="", user="", sets=_name(name), name=name)
        return msgspec.structs.replace(
            native or invented,
            assistant=text.assistant_role_name,
            user=text.user_role_name,
            question=question,
            context=False,
        )


def _walk(steps: tuple[_Step, ...]) -> Iterator[_Step]:
    for step in steps:
        yield step
        yield from _walk(step.Composition)


def _name(phase: str) -> str:
    """The template variable for the conclusion of a user-defined phase."""
    name = re.sub(r"\W", "_", phase)
    return name if name.isidentifier() else f"_{name}"


def _translate(text: str, pattern: re.Pattern[str], names: Mapping[str, str], where: str) -> str:
    """A text with placeholders in braces, as a Jinja2 template."""
    parts, end = [], 0
    for match in pattern.finditer(text):
        name = match[1]
        if name is not None and name not in names:
            raise CompanyError(
                f"{where}: expected one of the placeholders {', '.join(sorted(names))}; found {{{name}}}.",
                do="Correct the name, or double the braces if they are meant literally.",
            )
        parts += [_literal(text[end : match.start()]), _literal(match[0][0]) if name is None else names[name]]
        end = match.end()
    return "".join(parts) + _literal(text[end:])


def _literal(text: str) -> str:
    return text.replace("{", "{{ '{' }}")


def _company(
    name: str, chain: tuple[ChainStep, ...], values: Mapping[str, str], classic: Company, ignored: tuple[str, ...]
) -> str:
    import tomli_w

    own = {
        "name": name,
        "description": "Converted from a ChatDev 1.0 folder.",
        **({"ignored": list(ignored)} if ignored else {}),
        "chain": [_entry(step) for step in chain],
        "values": dict(values),
    }
    _, heading, requests = classic.sources["company.toml"].partition("[requests]")
    return f"{tomli_w.dumps(own)}\n{heading}{requests}"


def _entry(step: ChainStep) -> dict[str, object]:
    if not step.loop:
        return {"phase": step.phase} if step.phase else {"run": step.run}
    return {
        "loop": step.loop,
        "cycles": step.cycles,
        "until": step.until,
        "steps": [_entry(each) for each in step.steps],
    }


def _phase(phase: Phase) -> str:
    import tomli_w

    plain = Phase(assistant="", user="", name=phase.name, question=phase.question)
    head = {
        key: _without_none(value)
        for key in phase.__struct_fields__
        if (value := getattr(phase, key)) != getattr(plain, key)
    }
    return f"+++\n{tomli_w.dumps(head)}+++\n{phase.question}\n"


def _without_none(value: object) -> object:
    """A value as TOML can hold it: a struct as a table of the fields that are set."""
    if isinstance(value, msgspec.Struct):
        return {name: each for name, each in msgspec.structs.asdict(value).items() if each is not None}
    return value
