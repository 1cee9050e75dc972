"""A company's chain for a reader: a tree for the terminal, and a Mermaid flowchart."""

from collections.abc import Iterator

from chatdev.company.config import Company
from chatdev.company.graph import Network, graph
from chatdev.company.steps import ChainStep, groups

UNTIL = {
    "finished": "a role says <INFO> Finished",
    "complete": "no file is unfinished",
    "passing": "all acceptance tests pass",
    "starts": "the product starts",
    "healthy": "the tests pass and the product starts",
    "sound tests": "no test is itself broken",
}
_RUNS = {"tests": "run the acceptance tests", "start": "start the product"}


def tree(company: Company) -> str:
    """The company's name and description, and a line for each step of its chain, indented below its loop."""
    heading = f"{company.name}: {company.description}" if company.description else company.name
    return "\n".join([heading, "", *_lines(company, company.chain, "  ")])


def _lines(company: Company, steps: tuple[ChainStep, ...], indent: str) -> Iterator[str]:
    for step in steps:
        yield indent + _label(company, step) + (", in parallel with the step before it" if step.with_previous else "")
        yield from _lines(company, step.steps or step.parallel, indent + "  ")


def _label(company: Company, step: ChainStep) -> str:
    if step.loop:
        return f"{step.loop}, {_bound(step)}"
    if step.parallel:
        return "in parallel"
    if step.run:
        return _RUNS[step.run]
    phase = company.phases[step.phase]
    remarks = [
        f"up to {phase.turns} turns" if phase.turns > 1 else "",
        "reflection" if phase.reflect else "",
        f"sets {phase.sets}" if phase.sets else "",
        f"writes {phase.writes}" if phase.writes else "",
    ]
    details = ", ".join(filter(None, remarks))
    label = f"{phase.name}: {phase.assistant} <- {phase.user}" + (f" ({details})" if details else "")
    return f"{label}, by a network: {_shape(step.network)}" if step.network else label


def _shape(network: Network) -> str:
    made = graph(network)
    return f"{network.topology or 'graph'} of {len(made.names):,} agents and {made.edges:,} edges"


def _bound(step: ChainStep) -> str:
    times = "once" if step.cycles == 1 else f"up to {step.cycles} times"
    return f"{times}, until {UNTIL[step.until]}" if step.until else times


def mermaid(company: Company) -> str:
    """The chain as a Mermaid flowchart in a fenced block, ready for a Markdown file."""
    lines = ["flowchart TD"]
    _, ends = _draw(company, company.chain, "s", [], "    ", lines)
    lines += [f"    {end} --> verdict" for end in ends] + ['    verdict(["verdict"])']
    return "\n".join(["```mermaid", *lines, "```"])


def _draw(
    company: Company, steps: tuple[ChainStep, ...], name: str, ends: list[str], indent: str, lines: list[str]
) -> tuple[list[str], list[str]]:
    """Add steps to ``lines``, the first one connected to ``ends``. Returns the nodes that begin and end them."""
    first: list[str] = []
    number = 0
    for group in groups(steps):
        if len(group) > 1:
            branches = [
                _draw(company, (branch,), f"{name}{number + index}_", ends, indent, lines)
                for index, branch in enumerate(group)
            ]
            number += len(group)
            starts, ends = ([node for branch in branches for node in branch[side]] for side in (0, 1))
            first = first or starts
            continue
        (step,), node = group, f"{name}{number}"
        number += 1
        if step.parallel:
            branches = [
                _draw(company, (branch,), f"{node}_{index}_", ends, indent, lines)
                for index, branch in enumerate(step.parallel)
            ]
            starts, ends = ([node for branch in branches for node in branch[side]] for side in (0, 1))
        elif step.loop:
            lines.append(f'{indent}subgraph {node}["{_quoted(f"{step.loop}, {_bound(step)}")}"]')
            inner, last = _draw(company, step.steps, f"{node}_", [], indent + "    ", lines)
            lines.append(f"{indent}end")
            lines += [f"{indent}{end} --> {node}" for end in ends]
            if step.cycles > 1:
                lines += [f"{indent}{end} -.-> {begin}" for end in last for begin in inner]
            starts = ends = [node]
        else:
            lines.append(f'{indent}{node}["{_quoted(_box(company, step))}"]')
            lines += [f"{indent}{end} --> {node}" for end in ends]
            starts = ends = [node]
        first = first or starts
    return first, ends


def _box(company: Company, step: ChainStep) -> str:
    if step.run:
        return _RUNS[step.run]
    phase = company.phases[step.phase]
    return f"{phase.name}\n{phase.assistant} ← {phase.user}"


def _quoted(text: str) -> str:
    """Text inside a quoted Mermaid label, with its entities and ``<br>``."""
    for mark, entity in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("\n", "<br>")):
        text = text.replace(mark, entity)
    return text
