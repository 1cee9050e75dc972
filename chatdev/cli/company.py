"""``chatdev company``: inspect companies, and create your own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chatdev.cli.options import IGNORE_HELP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdev.company.config import Company


_ignoring = click.option("--ignore-unsupported", "ignoring", is_flag=True, help=IGNORE_HELP)


@click.group(name="company")
def command() -> None:
    """List, draw, create, check and convert companies.

    A company is a folder of roles, prompts and the order of their work: docs/companies.md.
    """


@command.command(name="list")
def list_() -> None:
    """List the built-in companies and those in ./CompanyConfig.

    --config accepts these names.
    """
    from chatdev.cli import common
    from chatdev.company import config

    own = {path.parent.name: path.parent for file in _FILES for path in sorted(Path("CompanyConfig").glob(f"*/{file}"))}
    for name, folder in {**dict(sorted(own.items())), **config.built_in()}.items():
        try:
            common.echo(f"{name}: {_load(folder).description}")
        except config.CompanyError as error:
            common.echo(f"{name}: not usable. {error.what}")


@command.command()
@click.argument("name")
@_ignoring
def show(name: str, ignoring: bool) -> None:
    """Draw the chain of phases of company NAME.

    Prints a tree for the terminal and a Mermaid diagram.
    """
    from chatdev.cli import common
    from chatdev.company import drawing

    company = _found(name, ignoring)
    common.echo(f"{drawing.tree(company)}\n\n{drawing.mermaid(company)}")
    _list_ignored(company)


@command.command()
@click.argument("name")
@click.option("--from", "model", default="default", show_default=True, help="The company to copy.")
@_ignoring
def new(name: str, model: str, ignoring: bool) -> None:
    """Copy a company to CompanyConfig/NAME for editing.

    If NAME has a slash, it is the folder itself.
    """
    import re

    import tomli_w

    company = _found(model, ignoring)
    sources = dict(company.sources)
    folder = Path(name) if "/" in name else Path("CompanyConfig") / name
    title = tomli_w.dumps({"name": folder.name}).strip()
    sources["company.toml"] = re.sub(r'\A(#.*\n|\s)*name = ".*"', lambda _: title, sources["company.toml"])
    _write(sources, folder)
    _list_ignored(company)


@command.command()
@click.argument("path")
@_ignoring
def check(path: str, ignoring: bool) -> None:
    """Check the company in the folder PATH.

    Checks the templates too; an error names the file and the key.
    """
    from chatdev.cli import common

    company = _found(path, ignoring)
    common.echo(f"{company.name} is valid: {len(company.phases)} phases, {len(company.roster)} roles in use.")
    _list_ignored(company)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", default=None, type=click.Path(path_type=Path), help="The new folder.  [default: FOLDER-native]")
@_ignoring
def convert(folder: Path, to: Path | None, ignoring: bool) -> None:
    """Convert a ChatDev 1.0 company to the current format.

    Reads FOLDER and writes a new folder with a company that works the same.
    """
    from chatdev.cli import common
    from chatdev.company import classic_folder, config
    from chatdev.errors import ChatDevError
    from chatdev.project.prompts import checked

    try:
        if not any((folder / name).is_file() for name in _FILES[1:]):
            raise config.CompanyError(
                f"{folder} holds none of {', '.join(_FILES[1:])}.", do="Name a folder of ChatDev 1.0."
            )
        sources = classic_folder.convert(folder, ignore_unsupported=ignoring)
        company = checked(config.from_sources(sources))
    except ChatDevError as error:
        common.fail(error)
    _write(sources, to or folder.resolve().with_name(f"{folder.resolve().name}-native"))
    _list_ignored(company)


_FILES = ("company.toml", "ChatChainConfig.json", "PhaseConfig.json", "RoleConfig.json")


def _list_ignored(company: "Company") -> None:
    from chatdev.cli import common

    for each in company.ignored:
        common.echo(f"Ignored (not supported): {each}")


def _load(folder: Path, ignoring: bool = False) -> "Company":
    from chatdev.company import classic_folder
    from chatdev.project.prompts import checked

    return checked(classic_folder.load(folder, ignore_unsupported=ignoring))


def _found(name: str, ignoring: bool = False) -> "Company":
    from chatdev.cli import common
    from chatdev.company import config
    from chatdev.errors import ChatDevError

    try:
        return _load(config.find(name), ignoring)
    except ChatDevError as error:
        common.fail(error)


def _write(sources: "Mapping[str, str]", folder: Path) -> None:
    from chatdev.cli import common
    from chatdev.company import config
    from chatdev.errors import UserError

    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} already exists.", do="Choose another name.")
        config.write(sources, folder)
    except OSError as error:
        common.fail(UserError(f"{folder} cannot be written ({error.strerror})."))
    except UserError as error:
        common.fail(error)
    common.echo(f'Wrote {folder}. Edit it, then: {common.program()} company check "{folder}"')
