"""Two roles talk until one concludes, and a role is asked again for what its answer lacks."""

from collections.abc import Sequence

from chatdev.agents.chat_agent import QUOTED, Missing, Participant, RoleAnswer, insist
from chatdev.agents.reflection import reflect
from chatdev.agents.role_playing import talk
from chatdev.models.types import Message

CPO, CEO = Participant("CPO", (Message("system", "you all"),)), Participant("CEO", (Message("system", "you all"),))


class Script:
    """Answers in order, and keeps what was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int, int, tuple[Message, ...]]] = []

    async def __call__(
        self, role: str, turn: int, attempt: int, messages: Sequence[Message], choices: Sequence[str] = ()
    ) -> RoleAnswer:
        self.asked.append((role, turn, attempt, tuple(messages)))
        return RoleAnswer(self.answers.pop(0))

    @property
    def order(self) -> list[tuple[str, int, int]]:
        return [call[:3] for call in self.asked]


def concluded(text: str) -> str | None:
    return text.partition("<INFO> ")[2] or None


async def test_a_talk_ends_when_the_assistant_concludes() -> None:
    script = Script("a game?", "yes", "<INFO> game")
    held = await talk(script, CPO, CEO, "what kind?", "settled?", concluded, turns=5)
    assert held.conclusion == "game"
    assert script.order == [("CPO", 1, 1), ("CEO", 1, 1), ("CPO", 2, 1)]
    assert [line.role for line in held.lines] == ["CPO", "CEO", "CPO"]


async def test_a_talk_ends_when_the_user_role_concludes() -> None:
    held = await talk(Script("a game?", "<INFO> game"), CPO, CEO, "what kind?", "settled?", concluded, turns=5)
    assert held.conclusion == "game"


async def test_a_talk_ends_at_its_turn_limit_without_a_reply_to_the_last_turn() -> None:
    script = Script("hm", "hm?", "hm!")
    held = await talk(script, CPO, CEO, "what kind?", "settled?", concluded, turns=2)
    assert held.conclusion is None
    assert [role for role, _, _ in script.order] == ["CPO", "CEO", "CPO"]
    assert held.text == "CPO: hm\n\nCEO: hm?\n\nCPO: hm!"


async def test_a_role_that_says_the_same_three_times_ends_the_talk() -> None:
    script = Script("a game?", "sure?", "a game?", "really?", "a game?", "hm")
    held = await talk(script, CPO, CEO, "what kind?", "settled?", concluded, turns=10)
    assert held.circling and held.conclusion is None
    assert [role for role, _, _ in script.order] == ["CPO", "CEO"] * 2 + ["CPO"]
    script = Script("a", "same", "b", "same", "c", "same", "d")
    held = await talk(script, CPO, CEO, "what kind?", "settled?", concluded, turns=10)
    assert held.circling and held.lines[-1].role == "CEO"
    script = Script("a", "same", "b", "other", "c", "same", "<INFO> d")
    assert (await talk(script, CPO, CEO, "what kind?", "settled?", concluded, turns=10)).conclusion == "d"


async def test_each_role_sees_strict_turns_that_end_with_the_other() -> None:
    script = Script("a", "b", "c", "d", "<INFO> e")
    await talk(script, CPO, CEO, "q", "settled?", concluded, turns=3)
    for _, _, _, messages in script.asked:
        roles = [message.role for message in messages]
        assert roles[0] == "system"
        assert roles[1:] == [("user", "assistant")[i % 2] for i in range(len(roles) - 1)]
        assert roles[-1] == "user"


async def test_insist_asks_again_with_the_last_answer_only_and_tells_why() -> None:
    script, wishes = Script("one", "two", "three"), [Missing("more", "short"), Missing("still more", "shorter"), None]
    notes: list[tuple[int, str]] = []

    async def read(answer: RoleAnswer) -> Missing | None:
        return wishes.pop(0)

    answer = await insist(script, CPO, "q", read, lambda number, why: notes.append((number, why)))
    assert answer.text == "three"
    assert notes == [(1, "short"), (2, "shorter")]
    contents = [[message.content for message in call[3][1:]] for call in script.asked]
    assert contents == [["q"], ["q", "one", "more"], ["q", "two", "still more"]]


async def test_insist_gives_up_after_its_attempts() -> None:
    notes: list[int] = []

    async def read(answer: RoleAnswer) -> Missing | None:
        return Missing("more", "short")

    answer = await insist(Script("a", "b"), CPO, "q", read, lambda number, why: notes.append(number), attempts=2)
    assert answer.text == "b"
    assert notes == [1]


async def test_a_useless_answer_re_enters_short_and_never_empty() -> None:
    script = Script("x" * 99_999, "  ", "good")

    async def read(answer: RoleAnswer) -> Missing | None:
        return None if answer.text == "good" else Missing("again", "")

    await insist(script, CPO, "q", read, lambda number, why: None)
    assert len(script.asked[1][3][2].content) < QUOTED + 10
    assert script.asked[2][3][2].content == "(no answer)"


async def test_a_reflection_reads_a_conclusion_out_of_one_answer() -> None:
    script = Script("<INFO> game")
    assert await reflect(script, Participant("Counselor"), "what was decided?", concluded) == "game"
    assert await reflect(Script("who knows"), Participant("Counselor"), "what was decided?", concluded) is None
