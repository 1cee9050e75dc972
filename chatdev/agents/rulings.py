"""Why a block is not a file: commands, conclusions, parts of a file, and the forms of prompts."""

import re

from chatdev.agents import completeness, filenames, outline
from chatdev.agents.conclusions import MARK
from chatdev.agents.fences import Block
from chatdev.agents.titles import Title

NO_NAME = "it has no file name"
SHELL = "it holds shell commands"
_TEMPLATE = frozenset(("DOCSTRING", "CODE", "LANGUAGE", "FILENAME", "'''", '"""', "# CODE"))
_COMMAND = re.compile(r"\s*(?:[$>]\s|(?:pip3?|npm|yarn|apt|apt-get|brew|cd|echo|git|make|docker) |python3? \S+\.py\b)")


def is_commands(block: Block) -> bool:
    """Whether a block consists of shell commands."""
    texts = [line.strip() for line in block.lines if line.strip()]
    return bool(texts) and all(_COMMAND.match(text) for text in texts)


def no_file(block: Block, title: Title, headed: set[str]) -> str:
    """Why a block is not a file; empty if it is one."""
    texts = [line.strip() for line in block.lines if line.strip()]
    path = title.path
    if texts and all(text in _TEMPLATE for text in texts):
        return "it is the prompt's own form"
    if len(texts) == 1 and MARK.match(texts[0]):
        return "it holds a conclusion"
    if path and (block.excerpt or filenames.is_excerpt(block.info)):
        return f"it is a part of {path}"
    if filenames.is_shell(block.info) and (not path or filenames.is_source(path)):
        return SHELL
    if not path:
        return SHELL if is_commands(block) else NO_NAME
    if title.removed:
        return "the file is said to be removed"
    if title.source == "sentence" and path in headed:
        return "it is a part of a file that stands elsewhere in the answer"
    typed = filenames.is_source(path) or (filenames.is_shell(block.info) and not filenames.is_script(path))
    if typed and is_commands(block):
        return SHELL
    if block.lines and [filenames.alone(text) for text in texts] == [path]:
        return "it holds nothing but the name"
    return _no_module(block, title) if path.casefold().endswith((".py", ".pyw")) else ""


def _no_module(block: Block, title: Title) -> str:
    """Why a block is not the Python file that its title names; empty if it may be."""
    text = "\n".join(block.lines)
    if "test" not in title.path.casefold() and completeness.is_only_tests(text):
        return f"it holds only tests, and {title.path} is the program"
    if title.source != "header" and completeness.is_only_imports(text) and not title.path.endswith("__init__.py"):
        return f"it holds only imports of {title.path}"
    if completeness.is_only_methods(text) or (title.source == "sentence" and outline.lacks_imports(text)):
        return f"it is a part of {title.path}"
    return ""
