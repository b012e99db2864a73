"""cardioscan user: who may sign in to the window. For the first day, and for when nobody can get in any more."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.commands.settings import ActorOption, ConfigOption, settings
from gateway.role import Role

if TYPE_CHECKING:
    from gateway.store import Store

app = typer.Typer(no_args_is_help=True, help="Users of the window.")
out = Console(emoji=False)
err = Console(stderr=True, emoji=False)

BAD_USAGE = 2


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="1 to 200 letters, digits and . _ @ + -")],
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.VIEWER,
    config: ConfigOption = None,
    actor: ActorOption = "command line",
) -> None:
    """Add a user and print the one-time password."""
    from gateway.web.security.administration import add_user

    with _open_store(config, begins=True) as store:
        try:
            user, password = add_user(store, name, role, actor)
        except ValueError as error:
            err.print(str(error), markup=False, highlight=False)
            raise typer.Exit(BAD_USAGE) from error
    _say(f"{user.name} is a {user.role}; the one-time password is {password}")


@app.command("reset")
def reset(name: str, config: ConfigOption = None, actor: ActorOption = "command line") -> None:
    """Give a user a new one-time password and print it; a user who was disabled may sign in again."""
    from gateway.web.security.administration import change_user, reset_password
    from gateway.web.security.names import user_name

    with _open_store(config) as store:
        try:
            lawful = user_name(name)
        except ValueError as error:
            err.print(str(error), markup=False, highlight=False)
            raise typer.Exit(BAD_USAGE) from error
        password = reset_password(store, lawful, actor)
        change_user(store, lawful, actor, disabled=False)
    _say(f"the one-time password of {lawful} is {password}")


@app.command("list")
def list_users(config: ConfigOption = None) -> None:
    """List the users."""
    with _open_store(config) as store:
        users = store.accounts.users()
    table = Table("user", "role", "signs in by", "state", "last signed in (UTC)")
    for user in users:
        state = "disabled" if user.disabled else "one-time password" if user.must_change_password else "active"
        when = user.signed_in_at.isoformat(sep=" ", timespec="minutes")[:16] if user.signed_in_at else ""
        how = "provider" if user.federated else "password"
        table.add_row(*(Text(cell) for cell in (user.name, user.role, how, state, when)))
    out.print(table)


def _open_store(config: Path | None, begins: bool = False) -> AbstractContextManager[Store]:
    from gateway.store import Store

    return closing(Store.open(settings(config, begins).data))


def _say(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)
