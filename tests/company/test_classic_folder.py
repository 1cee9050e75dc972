"""Folders of ChatDev 1.0: read as they are, converted, run; and what is said of one that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.support import ANSWERS, MAIN, WORDS, Ran, recording, run

from chatdev.company import classic_folder, config
from chatdev.company.config import ChainStep, CompanyError
from chatdev.journal.events import MessageStored, ModelAnswered, PhaseBegan
from chatdev.project.prompts import Prompts
from chatdev.project.state import State

PROGRAMMER, CTO, CHIEF = "Programmer", "Chief Technology Officer", "Chief Executive Officer"
RECRUITED = (
    CHIEF,
    "Counselor",
    CTO,
    "Chief Product Officer",
    PROGRAMMER,
    "Code Reviewer",
    "Software Test Engineer",
    "Breaker",
)
SWITCHES = ["git_management", "web_spider", "self_improve", "incremental_develop", "with_memory", "brainstorming"]


def simple(phase: str, turns: int = 1, reflect: Any = "False") -> dict[str, Any]:
    return {"phase": phase, "phaseType": "SimplePhase", "max_turn_step": turns, "need_reflect": reflect}


def composed(phase: str, cycles: int, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"phase": phase, "phaseType": "ComposedPhase", "cycleNum": cycles, "Composition": list(steps)}


def asks(assistant: str, user: str, *lines: str) -> dict[str, Any]:
    return {"assistant_role_name": assistant, "user_role_name": user, "phase_prompt": list(lines)}


def chain() -> dict[str, Any]:
    return {
        "chain": [
            simple("LanguageChoose", -1, "True"),
            simple("StoreChoose", 3, "True"),
            simple("Coding"),
            composed("CodeCompleteAll", 10, simple("CodeComplete")),
            composed("Hardening", 2, simple("Attack"), composed("CodeReview", 2, simple("CodeReviewModification"))),
            composed("Hardening", 1, simple("Attack")),
            composed("Test", 3, simple("TestErrorSummary"), simple("TestModification")),
            simple("Manual"),
        ],
        "recruitments": list(RECRUITED),
        "clear_structure": "True",
        "gui_design": "False",
        **dict.fromkeys(SWITCHES, "False"),
        "background_prompt": "We are {small}.",
    }


PHASES = {
    "StoreChoose": asks(CTO, CHIEF, "Where does {task} keep its data? It is a {modality} in {language}.", "{ideas}"),
    "Coding": asks(
        PROGRAMMER, CTO, '{assistant_role}: write "{task}" {description} {{"store": "{StoreChoose}"}}. {gui}'
    ),
    "CodeComplete": asks(PROGRAMMER, CTO, "Finish {unimplemented_file} of {codes}"),
    "Attack": asks("Breaker", PROGRAMMER, "Break this:", "{codes}", "{requirements}"),
    "CodeReviewModification": asks(PROGRAMMER, "Code Reviewer", "Mend: {Attack} {comments}"),
    "TestErrorSummary": asks(PROGRAMMER, "Software Test Engineer", "{test_reports}"),
    "TestModification": asks(PROGRAMMER, "Software Test Engineer", "{test_reports} {error_summary}"),
}
ROLES = {
    **dict.fromkeys(RECRUITED, "{chatdev_prompt}\nYou do {task}. {"),
    CTO: ["{chatdev_prompt}", "You do {task}. {"],
    "Breaker": "You break things.",
}


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(*, settings: Any = None, phases: Any = None, roles: Any = None, name: str = "Mine") -> Path:
        folder = tmp_path / "CompanyConfig" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, value in zip(config.CLASSIC_FILES, (settings, phases, roles), strict=True):
            if value is not None:
                (folder / file).write_text(json.dumps(value), encoding="utf-8")
        return folder

    return write


def whole(make: Make) -> Path:
    return make(settings=chain(), phases=PHASES, roles=ROLES)


def shape(steps: tuple[ChainStep, ...]) -> list[Any]:
    return [(step.name, step.cycles, step.until, shape(step.steps)) if step.loop else step.name for step in steps]


def test_the_chain_keeps_order_cycles_and_nesting(make: Make) -> None:
    company = classic_folder.load(whole(make))
    assert shape(company.chain) == [
        "LanguageChoose",
        "StoreChoose",
        "Coding",
        ("CodeCompleteAll", 10, "complete", ["CodeComplete"]),
        ("Hardening", 2, "finished", ["Attack", ("CodeReview", 2, "finished", ["CodeReviewModification"])]),
        ("Hardening-2", 1, "finished", ["Attack"]),
        ("Test", 3, "starts", ["start", "TestErrorSummary", "TestModification"]),
        "Manual",
    ]
    assert (company.phases["LanguageChoose"].turns, company.phases["LanguageChoose"].reflect) == (10, True)
    assert (company.phases["StoreChoose"].turns, company.phases["StoreChoose"].sets) == (3, "StoreChoose")


def test_known_names_keep_their_kinds_and_invented_ones_talk(make: Make) -> None:
    phases = classic_folder.load(whole(make)).phases
    kinds = {name: phase.kind for name, phase in phases.items()}
    assert kinds["Coding"] == "code"
    assert kinds["CodeComplete"] == "complete"
    assert kinds["LanguageChoose"] == "choice"
    assert kinds["Manual"] == "document"
    assert kinds["StoreChoose"] == kinds["Attack"] == "talk"
    assert phases["CodeComplete"].tries == 5


def test_placeholders_and_literal_braces_are_filled(make: Make) -> None:
    company = classic_folder.load(whole(make))
    state = State(task="greet", name="G", files={"main.py": "print(1)\n", "requirements.txt": "pygame\n"})
    prompts = Prompts(company)
    coding = prompts.question(company.phases["Coding"], state.with_value("StoreChoose", "SQLite"), PROGRAMMER)
    assert coding.endswith('Programmer: write "greet"  {"store": "SQLite"}.')
    assert "We are {small}.\nYou do greet. {" in coding
    attack = prompts.question(company.phases["Attack"], state, "Breaker")
    assert attack.startswith("You break things.\n\nBreak this:\nmain.py\n```python\nprint(1)\n```")
    assert attack.endswith("pygame")
    assert prompts.background(state).startswith("We are {small}.")


@pytest.mark.parametrize("name", sorted(classic_folder.PLACEHOLDERS))
def test_every_placeholder_of_1_0_renders(make: Make, name: str) -> None:
    company = classic_folder.load(make(phases={"Coding": asks(PROGRAMMER, CTO, f"[{{{name}}}]")}))
    state = State(task="greet", name="G", files={"main.py": "print(1)\n"})
    messages = Prompts(company).question(company.phases["Coding"], state, PROGRAMMER)
    assert messages.endswith("]")
    assert f"{{{name}}}" not in messages


@pytest.mark.parametrize(("value", "wished"), [("True", True), ("False", False), (True, True), (False, False)])
def test_gui_design_is_the_wish_for_a_graphical_interface(make: Make, value: Any, wished: bool) -> None:
    company = classic_folder.load(make(settings=chain() | {"gui_design": value}, phases=PHASES, roles=ROLES))
    messages = Prompts(company).question(company.phases["Coding"], State(task="t", name="n"), PROGRAMMER)
    assert ("graphical interface" in messages) is wished


@pytest.mark.parametrize("name", config.CLASSIC_FILES)
def test_missing_files_come_from_classic(make: Make, name: str) -> None:
    classic = config.load(config.find("classic"))
    folder = make(
        settings=chain() | {"chain": [simple("Coding")]},
        phases={"Coding": asks(PROGRAMMER, CTO, "Write.")},
        roles=ROLES | {PROGRAMMER: "You write."},
    )
    (folder / name).unlink()
    company = classic_folder.load(folder)
    assert (company.chain == classic.chain) is (name == "ChatChainConfig.json")
    assert (company.phases["Coding"] == classic.phases["Coding"]) is (name == "PhaseConfig.json")
    assert (company.roles[PROGRAMMER] == classic.roles[PROGRAMMER]) is (name == "RoleConfig.json")


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("on", ["True", True])
def test_switches_that_are_not_yet_here_are_named(make: Make, switch: str, on: Any) -> None:
    with pytest.raises(CompanyError, match=f"{switch}.*not yet") as caught:
        classic_folder.load(make(settings=chain() | {switch: on}, phases=PHASES, roles=ROLES))
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("phase", ["Art", "HumanAgentInteraction"])
def test_phases_that_are_not_yet_here_are_named(make: Make, phase: str) -> None:
    settings = chain() | {"chain": [composed(phase, 1, simple("CodeReviewHuman"))]}
    with pytest.raises(CompanyError, match=f"ChatChainConfig.json: chain.0..phase: {phase} is not yet supported"):
        classic_folder.load(make(settings=settings))


HUMAN = composed("HumanAgentInteraction", 5, simple("CodeReviewHuman"))
ART = composed("Art", 1, simple("ArtDesign"), simple("ArtIntegration"))


def test_unsupported_switches_and_phases_are_left_out_if_they_are_to_be_ignored(make: Make) -> None:
    settings = chain() | {"self_improve": "True", "with_memory": True}
    settings["chain"][4:4] = [HUMAN, composed("Talks", 2, simple("CodeReviewHuman")), ART]
    company = classic_folder.load(make(settings=settings, phases=PHASES, roles=ROLES), ignore_unsupported=True)
    plain = classic_folder.load(whole(make))
    assert (company.chain, company.phases) == (plain.chain, plain.phases)
    assert company.ignored == (
        "switch self_improve",
        "switch with_memory",
        "phase HumanAgentInteraction (CodeReviewHuman)",
        "phase CodeReviewHuman",
        "phase Art (ArtDesign, ArtIntegration)",
    )
    assert config.from_sources(company.sources) == company  # a run's copy still lists them
    assert plain.ignored == ()


@pytest.mark.parametrize("settings", [{"self_improve": "True"}, {"chain": [ART]}], ids=["switch", "phase"])
def test_the_error_for_an_unsupported_part_names_the_option_that_ignores_it(make: Make, settings: Any) -> None:
    with pytest.raises(CompanyError, match="or ignore it with --ignore-unsupported"):
        classic_folder.load(make(settings=chain() | settings, phases=PHASES, roles=ROLES))


def test_the_conclusion_of_a_phase_that_is_left_out_is_empty_for_later_phases(make: Make) -> None:
    settings = chain() | {"chain": [ART, simple("Coding")]}
    coding = asks(PROGRAMMER, CTO, "Write {task} with [{ArtDesign}].")
    company = classic_folder.load(
        make(settings=settings, phases={"Coding": coding}, roles=ROLES), ignore_unsupported=True
    )
    messages = Prompts(company).question(company.phases["Coding"], State(task="greet", name="G"), PROGRAMMER)
    assert messages.endswith("Write greet with [].")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"chain": [ART, HUMAN]}, "no phase is left without those that are not supported"),
        ({"chain": [simple("Attack")], "incremental_develop": "True"}, "no phase of the chain writes the program"),
    ],
)
def test_a_company_that_could_not_work_without_its_unsupported_parts_is_refused(
    make: Make, settings: Any, why: str
) -> None:
    with pytest.raises(CompanyError, match=why):
        classic_folder.load(make(settings=chain() | settings, phases=PHASES, roles=ROLES), ignore_unsupported=True)


@pytest.mark.parametrize("name", ["Art", "human", "INCREMENTAL"])
def test_companies_that_are_not_yet_here_are_named(name: str) -> None:
    with pytest.raises(CompanyError, match="not yet supported") as caught:
        config.find(name)
    assert caught.value.exit_status == 2


def without(*roles: str) -> list[str]:
    return [role for role in chain()["recruitments"] if role not in roles]


def steps(*given: dict[str, Any]) -> dict[str, Any]:
    return {"settings": chain() | {"chain": list(given)}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"phases": {"Coding": asks(PROGRAMMER, CTO, "{cods}")}}, r"PhaseConfig.json: Coding: .*codes.*found {cods}"),
        ({"phases": {"Coding": asks(PROGRAMMER, CTO, "{ task }")}}, r"found { task }"),
        ({"roles": ROLES | {CTO: ["{codes}"]}}, r"RoleConfig.json: Chief Technology Officer: expected .*found {codes}"),
        ({"settings": chain() | {"recruitments": without("Breaker")}}, "recruitments: expected the role Breaker"),
        ({"settings": chain() | {"recruitments": without("Counselor")}}, "recruitments: expected the role Counselor"),
        ({"roles": {role: [] for role in without("Breaker")}}, "RoleConfig.json: Breaker: expected the role"),
        (steps(simple("Poem")), "PhaseConfig.json: Poem: expected this phase"),
        (steps(simple("Coding", "ten")), r"Expected `int`, got `str` - at `\$.chain\[0\].max_turn_step`"),  # type: ignore[arg-type]
        (steps(simple("Coding", 1, "maybe")), r"chain\[0\].need_reflect: expected .True. or .False., found 'maybe'"),
        (steps(simple("Coding") | {"turns": 3}), "unknown field `turns`"),
        (steps(simple("Coding") | {"phaseType": "Phase"}), "Invalid enum value 'Phase'"),
        (steps(simple("Attack"), simple("Attack", 2)), "the same max_turn_step"),
        (steps(composed("Loop", 0, simple("Coding"))), "cycleNum: expected 1 or more, found 0"),
        (steps(composed("Loop", 1)), "Composition: expected a list of phases in a ComposedPhase, found none"),
        (steps(simple("Coding") | {"Composition": [simple("Coding")]}), "expected none in a SimplePhase"),
        ({"settings": chain() | {"gui_design": "yes"}}, "gui_design: expected .True. or .False., found 'yes'"),
        ({"settings": {"chain": []}}, "missing required field `recruitments`"),
        ({"phases": {"Coding": {"assistant_role_name": 3}}}, "PhaseConfig.json: .*Expected `str`, got `int`"),
        ({"phases": {"Coding": asks(CTO, CTO, "Go.")}}, "user_role_name: expected a role other"),
        ({"roles": {"a/b": []}}, "RoleConfig.json: "),
    ],
)
def test_a_fault_is_reported_with_file_key_expectation_and_finding(
    make: Make, change: dict[str, Any], expected: str
) -> None:
    given = {"settings": chain(), "phases": PHASES, "roles": ROLES} | change
    if "phases" in change:
        given["phases"] = PHASES | change["phases"]
    with pytest.raises(CompanyError, match=expected):
        classic_folder.load(make(**given))


def test_a_role_that_cannot_name_a_file_is_refused(make: Make) -> None:
    with pytest.raises(CompanyError, match="cannot be used as a file name"):
        classic_folder.load(make(roles=dict.fromkeys(RECRUITED, "") | {"../x": ""}))


def test_broken_json_and_other_encodings_are_reported(make: Make) -> None:
    folder = whole(make)
    (folder / "RoleConfig.json").write_text("{")
    with pytest.raises(CompanyError, match=r"RoleConfig\.json: Input data was truncated"):
        classic_folder.load(folder)
    (folder / "RoleConfig.json").write_bytes(b"\xff")
    with pytest.raises(CompanyError, match="is not UTF-8"):
        classic_folder.load(folder)


def test_companies_are_found_in_company_config(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = whole(make)
    make(settings=chain(), name="Default")
    monkeypatch.chdir(folder.parent.parent)
    assert config.find("Mine").samefile(folder)
    assert config.find("Default") == Path("CompanyConfig") / "Default"
    assert config.find("default") == config.BUILT_IN / "default"
    assert config.find(str(folder)) == folder


ANSWERED = {
    "LanguageChoose.1/ChiefTechnologyOfficer.1/ask.1": "<INFO> Python",
    "StoreChoose.1/ChiefTechnologyOfficer.1/ask.1": "Perhaps a file?",
    "StoreChoose.1/ChiefExecutiveOfficer.1/ask.1": "Say which.",
    "StoreChoose.1/ChiefTechnologyOfficer.2/ask.1": "Data is small.\n<INFO> a text file",
    "Coding.1/Programmer.1/ask.1": f"{WORDS}\n{MAIN}",
    "Hardening.1/Attack.1/Breaker.1/ask.1": "It can be shouted at.",
    "Hardening.1/CodeReview.1/CodeReviewModification.1/Programmer.1/ask.1": WORDS,
    "Hardening.1/CodeReview.2/CodeReviewModification.1/Programmer.1/ask.1": "<INFO> Finished",
    "Hardening.2/Attack.1/Breaker.1/ask.1": "<INFO> Finished",
    "Hardening-2.1/Attack.1/Breaker.1/ask.1": "<INFO> Finished",
    "Manual.1/ChiefProductOfficer.1/ask.1": ANSWERS["Manual.1/ChiefProductOfficer.1/ask.1"],
}


def conversation(ran: Ran) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(call.place, call.text, call.messages) for call in ran.events(ModelAnswered)]


async def test_a_folder_that_uses_everything_runs_and_runs_the_same_when_converted(make: Make, tmp_path: Path) -> None:
    folder = whole(make)
    ran = await run(tmp_path / "a", recording(ANSWERED), config=str(folder))
    assert ran.verdict.verdict == "starts (not tested)"
    assert {call.place for call in ran.events(ModelAnswered)} == set(ANSWERED)
    messages = {message.id: message.content for message in ran.events(MessageStored)}
    by_place = {call.place: messages[call.messages[-1]] for call in ran.events(ModelAnswered)}
    assert '{"store": "a text file"}' in by_place["Coding.1/Programmer.1/ask.1"]
    assert "Mend: It can be shouted at." in by_place[list(ANSWERED)[6]]
    assert [began.phase for began in ran.events(PhaseBegan)].count("Attack") == 3

    native = tmp_path / "native"
    config.write(classic_folder.convert(folder), native)
    assert classic_folder.load(native).chain == classic_folder.load(folder).chain
    assert classic_folder.load(native) == classic_folder.load(folder)
    again = await run(tmp_path / "b", recording(ANSWERED), config=str(native))
    assert again.verdict.verdict == ran.verdict.verdict
    assert conversation(again) == conversation(ran)


async def test_a_talk_that_no_one_settles_is_reflected_on_and_then_guessed(make: Make, tmp_path: Path) -> None:
    store = {
        f"StoreChoose.1/{role}.{turn}/ask.1": f"Hm {turn}."
        for role, turns in (("ChiefTechnologyOfficer", (1, 2, 3)), ("ChiefExecutiveOfficer", (1, 2)))
        for turn in turns
    }
    for counsel, taken in (("<INFO> a database", "a database"), ("Who knows.", "Hm 3.")):
        given = ANSWERED | store | {"StoreChoose.1/Counselor.1/ask.1": counsel}
        ran = await run(tmp_path / "w", recording(given), config=str(whole(make)))
        messages = [message.content for message in ran.events(MessageStored)]
        assert any(f'{{"store": "{taken}"}}' in text for text in messages)
