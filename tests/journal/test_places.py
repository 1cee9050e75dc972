import pytest

from chatdev.journal import places
from chatdev.journal.places import Segment


def test_places_are_written_exactly_as_old_logs_have_them() -> None:
    phase = places.below("", "Drafting")
    assert phase == "Drafting.1"
    assert places.below(places.below(phase, places.CANDIDATE, 2), places.TESTS) == "Drafting.1/candidate.2/tests.1"
    assert places.below("Coding.1", "Chief Executive Officer / été", 3) == "Coding.1/ChiefExecutiveOfficerété.3"
    assert places.below("Coding.1", places.note("asked again"), 2) == "Coding.1/note-asked-again.2"
    assert places.below("Coding.1", places.edge(4), 7) == "Coding.1/edge-4.7"


def test_a_place_is_parsed_into_what_it_was_built_from() -> None:
    place = "Coding.1/edge-4.7/Programmer.1/second-opinion.1/ask.12"
    segments = places.parse(place)
    assert segments[1] == Segment("edge-4", 7) and segments[-1] == Segment("ask", 12)
    built = ""
    for name, ordinal in segments:
        built = places.below(built, name, ordinal)
    assert built == place
    assert places.parse("") == ()


@pytest.mark.parametrize("text", ["x", "x.", "x.y", "x.-1", "x.²", "x.1e9", "x." + "9" * 5_000, "\u2028", ".", "//"])
def test_a_damaged_place_never_stops_a_reader(text: str) -> None:
    assert all(segment.ordinal == 0 for segment in places.parse(text))
    assert places.candidate(text) == 0 and places.branch(text) is None and places.node(f"a.1/{text}/b.1") is None
    assert places.top(text) == places.parse(text)[0].name
    assert isinstance(places.without_candidates(text), str) and not places.parting(text, "y.1")


def test_ancestors_lead_from_a_place_to_the_top() -> None:
    assert places.ancestor("Coding.1/node.2/ask.1") == "Coding.1/node.2"
    assert places.ancestor("Coding.1") == ""
    assert list(places.ancestors("Coding.1/node.2/ask.1")) == ["Coding.1/node.2/ask.1", "Coding.1/node.2", "Coding.1"]
    assert list(places.ancestors("")) == []
    assert places.top("Full-Review.2/Review.1/ask.1") == "Full-Review"


def test_the_nearest_value_is_that_of_the_innermost_phase() -> None:
    phases = {"Loop.1": "outer", "Loop.1/Review.2": "inner"}
    assert places.nearest(phases, "Loop.1/Review.2/Reviewer.1/ask.1") == "inner"
    assert places.nearest(phases, "Loop.1/Review.1/Reviewer.1/ask.1") == "outer"
    assert places.nearest(phases, "Loop.10") is None
    assert places.nearest(phases, "") is None


def test_a_place_contains_what_is_below_it_but_not_a_number_that_begins_alike() -> None:
    assert places.contains("Race.1/candidate.1", "Race.1/candidate.1")
    assert places.contains("Race.1/candidate.1", "Race.1/candidate.1/ask.1")
    assert not places.contains("Race.1/candidate.1", "Race.1/candidate.10/ask.1")
    assert places.contains("", "Race.1")


def test_branches_of_a_phase_are_distinguished() -> None:
    assert places.candidate("Race.1/candidate.12/Programmer.1/ask.1") == 12
    assert places.candidate("candidate.3") == 3
    assert places.candidate("Race.1/candidates.2/x-candidate.4") == 0
    assert places.branch("Test.1/beside.2/ask.1") == Segment("beside", 2)
    assert places.branch("Test.1/Tester.1/ask.1") is None


def test_steps_that_ran_together_part_below_that_segment_only() -> None:
    assert places.parting("together.1/Review.1/ask.1", "together.1/Test.1/ask.1")
    assert not places.parting("together.1/Review.1/ask.1", "together.1/Review.1/ask.2")
    assert not places.parting("together.1/Review.1", "together.2/Review.1")
    assert not places.parting("Review.1", "Test.1")


def test_a_networks_agents_and_edges_are_read_from_places_below_its_phase() -> None:
    assert places.node("Coding.1/node.12/Programmer.1/ask.1") == (12, False)
    assert places.node("Coding.1/node.12/merge.3/Programmer.1/ask.1") == (12, True)
    assert places.node("Coding.1/node.12") is None
    assert places.edge_of("Coding.1/edge-3.4/Reviewer.1/ask.1") == (3, 4)
    assert places.edge_of("Coding.1/edge-x.4/Reviewer.1/ask.1") is None
    assert places.edge_of("Coding.1/node.4/Reviewer.1/ask.1") is None


def test_the_place_without_candidates_is_that_of_a_phase_solved_by_one() -> None:
    assert places.without_candidates("Race.1/candidate.2/Programmer.1/ask.1") == "Race.1/Programmer.1/ask.1"
    assert places.without_candidates("Race.1/candidate.2") == "Race.1/candidate.2"
    assert places.without_candidates("candidate.2/ask.1") == "candidate.2/ask.1"
    assert places.without_candidates("Race.1") == "Race.1"
