"""``chatdev company``: look at companies, and make one of your own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdev.company.config import Company


@click.group(name="company")
def command() -> None:
    """List companies, look at one, make or check your own, convert one of ChatDev 1.0's."""


@command.command(name="list")
def list_() -> None:
    """List the companies that --config finds by name: those built in, and those under ./CompanyConfig."""
    from chatdev.company import config

    own = {path.parent.name: path.parent for file in _FILES for path in sorted(Path("CompanyConfig").glob(f"*/{file}"))}
    for name, folder in {**dict(sorted(own.items())), **config.built_in()}.items():
        try:
            click.echo(f"{name}: {_load(folder).description}")
        except config.CompanyError as error:
            click.echo(f"{name}: cannot be used. {error.what}")


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Draw the chain of company NAME, for the terminal and as a Mermaid block."""
    from chatdev.company import drawing

    company = _found(name)
    click.echo(f"{drawing.tree(company)}\n\n{drawing.mermaid(company)}")


@command.command()
@click.argument("name")
@click.option("--from", "model", default="default", show_default=True, help="The company to begin with.")
def new(name: str, model: str) -> None:
    """Make the folder CompanyConfig/NAME, to be edited; a NAME with a slash is the folder itself."""
    import re

    sources = dict(_found(model).sources)
    folder = Path(name) if "/" in name else Path("CompanyConfig") / name
    title = re.sub(r'["\\]', "", folder.name)
    sources["company.toml"] = re.sub(r'\A(#.*\n|\s)*name = ".*"', f'name = "{title}"', sources["company.toml"])
    _write(sources, folder)


@command.command()
@click.argument("path")
def check(path: str) -> None:
    """Check the company in folder PATH, its templates too; what is wrong is told with file and key."""
    company = _found(path)
    click.echo(f"{company.name} is fine: {len(company.phases)} phases, {len(company.roster)} roles that speak.")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", default=None, type=click.Path(path_type=Path), help="Where to.  [FOLDER-native]")
def convert(folder: Path, to: Path | None) -> None:
    """Write a folder of our own form from FOLDER, which is one of ChatDev 1.0's; it works the same."""
    from chatdev.cli import common
    from chatdev.company import classic_folder, config
    from chatdev.errors import ChatDevError
    from chatdev.project.prompts import checked

    try:
        if not any((folder / name).is_file() for name in _FILES[1:]):
            raise config.CompanyError(f"{folder} holds none of {', '.join(_FILES[1:])}.", do="Name a 1.0 folder.")
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
            raise UserError(f"{folder} is there already.", do="Choose another name.")
        config.write(sources, folder)
    except OSError as error:
        common.fail(UserError(f"{folder} cannot be written ({error.strerror})."))
    except UserError as error:
        common.fail(error)
    click.echo(f'Wrote {folder}. Edit it, then: {common.program()} company check "{folder}"')
