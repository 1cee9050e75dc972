"""ChatDev 1.0's enums. Do not run scripts from this folder: this file would shadow the standard ``typing``."""

from enum import Enum

from chatdev.models.types import ModelType

__all__ = ["ModelType", "PhaseType", "RoleType", "TaskType"]


class TaskType(Enum):
    """What a conversation is for."""

    AI_SOCIETY = "ai society"
    CODE = "code"
    MISALIGNMENT = "misalignment"
    TRANSLATION = "translation"
    EVALUATION = "evaluation"
    SOLUTION_EXTRACTION = "solution extraction"
    CHATDEV = "chatdev"
    DEFAULT = "default"


class RoleType(Enum):
    """The role of a speaker."""

    ASSISTANT = "assistant"
    USER = "user"
    CRITIC = "critic"
    EMBODIMENT = "embodiment"
    DEFAULT = "default"
    CHATDEV = "chatdev"
    CHATDEV_COUNSELOR = "counselor"
    CHATDEV_CEO = "ceo"
    CHATDEV_CHRO = "chro"
    CHATDEV_CPO = "cpo"
    CHATDEV_CTO = "cto"
    CHATDEV_PROGRAMMER = "programmer"
    CHATDEV_REVIEWER = "reviewer"
    CHATDEV_TESTER = "tester"
    CHATDEV_CCO = "cco"


class PhaseType(Enum):
    """What a phase does."""

    REFLECTION = "reflection"
    RECRUITING_CHRO = "recruiting chro"
    RECRUITING_CPO = "recruiting cpo"
    RECRUITING_CTO = "recruiting cto"
    DEMAND_ANALYSIS = "demand analysis"
    CHOOSING_LANGUAGE = "choosing language"
    RECRUITING_PROGRAMMER = "recruiting programmer"
    RECRUITING_REVIEWER = "recruiting reviewer"
    RECRUITING_TESTER = "recruiting tester"
    RECRUITING_CCO = "recruiting cco"
    CODING = "coding"
    CODING_COMPLETION = "coding completion"
    CODING_AUTOMODE = "coding automode"
    REVIEWING_COMMENT = "reviewing comment"
    REVIEWING_MODIFICATION = "reviewing modification"
    ERROR_SUMMARY = "error summary"
    MODIFICATION = "modification"
    ART_ELEMENT_ABSTRACTION = "art element abstraction"
    ART_ELEMENT_INTEGRATION = "art element integration"
    CREATING_ENVIRONMENT_DOCUMENT = "creating environment document"
    CREATING_USER_MANUAL = "creating user manual"
