"""``chatdev company``: inspect companies, and create your own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdev.company.config import Company


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
    from chatdev.company import config

    own = {path.parent.name: path.parent for file in _FILES for path in sorted(Path("CompanyConfig").glob(f"*/{file}"))}
    for name, folder in {**dict(sorted(own.items())), **config.built_in()}.items():
        try:
            click.echo(f"{name}: {_load(folder).description}")
        except config.CompanyError as error:
            click.echo(f"{name}: not usable. {error.what}")


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Draw the chain of phases of company NAME.

    Prints a tree for the terminal and a Mermaid diagram.
    """
    from chatdev.company import drawing

    company = _found(name)
    click.echo(f"{drawing.tree(company)}\n\n{drawing.mermaid(company)}")


@command.command()
@click.argument("name")
@click.option("--from", "model", default="default", show_default=True, help="The company to copy.")
def new(name: str, model: str) -> None:
    """Copy a company to CompanyConfig/NAME for editing.

    If NAME has a slash, it is the folder itself.
    """
    import re

    import tomli_w

    sources = dict(_found(model).sources)
    folder = Path(name) if "/" in name else Path("CompanyConfig") / name
    title = tomli_w.dumps({"name": folder.name}).strip()
    sources["company.toml"] = re.sub(r'\A(#.*\n|\s)*name = ".*"', lambda _: title, sources["company.toml"])
    _write(sources, folder)


@command.command()
@click.argument("path")
def check(path: str) -> None:
    """Check the company in the folder PATH.

    Checks the templates too; an error names the file and the key.
    """
    company = _found(path)
    click.echo(f"{company.name} is valid: {len(company.phases)} phases, {len(company.roster)} roles in use.")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", default=None, type=click.Path(path_type=Path), help="The new folder.  [default: FOLDER-native]")
def convert(folder: Path, to: Path | None) -> None:
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
        sources = classic_folder.convert(folder)
        checked(config.from_sources(sources))
    except ChatDevError as error:
        common.fail(error)
    _write(sources, to or folder.resolve().with_name(f"{folder.resolve().name}-native"))


_FILES = ("company.toml", "ChatChainConfig.json", "PhaseConfig.json", "RoleConfig.json")


def _load(folder: Path) -> "Company":
    from chatdev.company import classic_folder
    from chatdev.project.prompts import checked

    return checked(classic_folder.load(folder))


def _found(name: str) -> "Company":
    from chatdev.cli import common
    from chatdev.company import config
    from chatdev.errors import ChatDevError

    try:
        return _load(config.find(name))
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
    click.echo(f'Wrote {folder}. Edit it, then: {common.program()} company check "{folder}"')
