"""ChatDev 1.0's import names still lead to something."""

from enum import Enum

import pytest

import camel.model_backend
import camel.typing
import chatdev.models.backend
from chatdev.models.types import ModelType


def test_the_backends_and_the_model_type_are_the_houses_own() -> None:
    names = ["ModelBackend", "OpenAIModel", "VLLMModel", "StubModel", "ModelFactory"]
    assert sorted(camel.model_backend.__all__) == sorted(names)
    for name in names:
        assert getattr(camel.model_backend, name) is getattr(chatdev.models.backend, name)
    assert camel.typing.ModelType is ModelType


ROLES = "COUNSELOR CEO CHRO CPO CTO PROGRAMMER REVIEWER TESTER CCO"


@pytest.mark.parametrize(
    ("enum", "members"),
    [
        (
            camel.typing.TaskType,
            "AI_SOCIETY CODE MISALIGNMENT TRANSLATION EVALUATION SOLUTION_EXTRACTION CHATDEV DEFAULT",
        ),
        (
            camel.typing.RoleType,
            " ".join(["ASSISTANT USER CRITIC EMBODIMENT DEFAULT CHATDEV", *(f"CHATDEV_{r}" for r in ROLES.split())]),
        ),
        (
            camel.typing.ModelType,
            "GPT_3_5_TURBO GPT_3_5_TURBO_NEW GPT_4 GPT_4_32k GPT_4_TURBO GPT_4_TURBO_V GPT_4O GPT_4O_MINI STUB VLLM "
            "VLLM_LOCAL",
        ),
        (
            camel.typing.PhaseType,
            "REFLECTION RECRUITING_CHRO RECRUITING_CPO RECRUITING_CTO DEMAND_ANALYSIS CHOOSING_LANGUAGE "
            "RECRUITING_PROGRAMMER RECRUITING_REVIEWER RECRUITING_TESTER RECRUITING_CCO CODING CODING_COMPLETION "
            "CODING_AUTOMODE REVIEWING_COMMENT REVIEWING_MODIFICATION ERROR_SUMMARY MODIFICATION "
            "ART_ELEMENT_ABSTRACTION ART_ELEMENT_INTEGRATION CREATING_ENVIRONMENT_DOCUMENT CREATING_USER_MANUAL",
        ),
    ],
)
def test_the_enums_have_the_old_members(enum: type[Enum], members: str) -> None:
    assert set(enum.__members__) == set(members.split())


def test_only_vllm_has_two_names() -> None:
    for enum in (camel.typing.TaskType, camel.typing.RoleType, camel.typing.PhaseType):
        assert len(list(enum)) == len(enum.__members__)
    assert ModelType["VLLM_LOCAL"] is ModelType.VLLM
