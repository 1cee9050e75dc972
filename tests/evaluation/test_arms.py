"""Arms as they are typed."""

from chatdev.cli.evaluating import parse_words
from chatdev.company.graph import Network
from chatdev.evaluation import arms
from chatdev.fleet.plan import BatchPlan


def test_names_say_what_is_taken_and_companies_how_they_work() -> None:
    typed = [
        "once",
        "best-of-12",
        "default --candidates 3 --max-minutes 2.5 --role-model 'Code Reviewer=x y'",
        "classic",
    ]
    once, best, default, classic = arms.parse(typed, parse_words)
    assert (once.best, best.best, default.best) == (1, 12, 0)
    assert once.folder == best.folder == "once"
    assert default.plan == BatchPlan(
        config="default", candidates=3, limits={"minutes": 2.5}, role_models=("Code Reviewer=x y",)
    )
    assert (once.tests, default.tests, classic.tests) == (False, True, False)
    assert classic.folder == "classic"


def test_options_in_a_name_make_a_folder_of_their_own() -> None:
    folders = {
        arm.folder for arm in arms.parse(["default", "default --candidates 2", "default --candidates 3"], parse_words)
    }
    assert len(folders) == 3 and "default" in folders
    assert all("/" not in folder and " " not in folder for folder in folders)


def test_a_network_is_an_arm_too() -> None:
    (arm,) = arms.parse(["default --topology tree --agents 3"], parse_words)
    assert arm.plan.network == Network(topology="tree", agents=3).as_json
