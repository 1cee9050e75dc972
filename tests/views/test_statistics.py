import pytest
from sample_log import begun, finished, worked, written

from chatdev.views import statistics

NAMES = (
    "cost version_updates num_code_files num_png_files num_doc_files code_lines env_lines manual_lines num_utterances "
    "num_self_reflections num_prompt_tokens num_completion_tokens num_total_tokens duration"
).split()


def test_the_block_holds_the_14_values_of_chatdev_1_in_its_order() -> None:
    lines = statistics.render(statistics.software_info(finished())).split("\n")

    assert lines[0] == "Software Info:"
    assert [line.split("**")[1] for line in lines[1:]] == NAMES
    assert "**num_code_files**=2" in lines
    assert "**cost**=$0.000000" in lines
    assert "**duration**=27.00s" in lines


def test_code_documents_and_the_environment_are_counted_apart() -> None:
    info = statistics.software_info(worked().records)

    assert (info.num_code_files, info.code_lines) == (2, 12 + 31)  # the program and its tests, not data.json
    assert (info.env_lines, info.num_doc_files, info.manual_lines) == (2, 1, 25)


def test_a_batch_of_changed_code_is_one_version_and_documents_are_none() -> None:
    log = begun().add(written("Coding.1/file.1", "a.py", 1, 1)).add(written("Coding.1/file.2", "b.py", 1, 1))
    log.add(written("Review.1/file.1", "a.py", 2, 1)).add(written("Manual.1/file.1", "manual.md", 9, 9))

    assert statistics.software_info(log.records).version_updates == 2


def test_images_and_documents_are_counted_by_their_ending() -> None:
    log = worked().add(written("Coding.1/file.7", "logo.PNG", 1, 0)).add(written("Coding.1/file.8", "notes.md", 1, 0))
    info = statistics.software_info(log.records)

    assert (info.num_png_files, info.num_doc_files, info.num_code_files) == (1, 2, 2)


def test_talk_and_tokens_come_from_the_calls() -> None:
    info = statistics.software_info(finished())

    assert (info.num_utterances, info.num_self_reflections) == (9, 1)
    assert (info.num_prompt_tokens, info.num_completion_tokens, info.num_total_tokens) == (500, 250, 750)


@pytest.mark.parametrize(("cost", "shown"), [(None, "unknown"), (0.0, "$0.000000"), (0.0125, "$0.012500")])
def test_an_unknown_cost_says_so(cost: float | None, shown: str) -> None:
    log = worked().ask("x.1", "Programmer", "?", "!", cost=cost)

    assert f"**cost**={shown}" in statistics.render(statistics.software_info(log.records)).split("\n")
