"""`freerecall user`: accounts, their roles, passwords and sessions; a learner's data, out or erased."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freerecall.cli_options import Data, check_output, settings
from freerecall.errors import InputError

if TYPE_CHECKING:
    from freerecall.store import Store

app = typer.Typer(help="Accounts: who may log in, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
Role = Annotated[str, typer.Option("--role", metavar="R", help="learner, teacher or admin.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input's first line.")
]


@app.command("add")
def add_command(
    context: typer.Context,
    name: Name,
    role: Role = "learner",
    password_stdin: FromStdin = False,
    local: Annotated[
        bool, typer.Option("--local", help="Take over what was practised here before there were accounts.")
    ] = False,
    data: Data = None,
) -> None:
    """Make an account. From the first one on, everybody must log in."""
    from datetime import UTC, datetime

    from freerecall import accounts

    wanted, cleaned = accounts.read_role(role), accounts.clean_name(name)
    password = _password(password_stdin)
    with _store(context, data) as store:
        learner = "local" if local else ""
        accounts.add(store, cleaned, wanted, password, now=datetime.now(UTC), learner=learner)
    typer.echo(f"{cleaned} ({wanted}) can log in now")


@app.command("list")
def list_command(context: typer.Context, data: Data = None) -> None:
    """List the accounts: name, role, since when, and how many sessions."""
    with _store(context, data) as store:
        rows = [
            (row.name, row.role, row.created_at.date().isoformat(), str(len(store.sessions(row.learner))))
            for row in store.accounts()
        ]
    if not rows:
        typer.echo("there is no account; make one with `freerecall user add NAME --role admin`", err=True)
        return
    width = max(len(row[0]) for row in rows)
    for name, role, since, sessions in [("NAME", "ROLE", "SINCE", "SESSIONS"), *rows]:
        typer.echo(f"{name:<{width}}  {role:<7}  {since:<10}  {sessions}")


@app.command("password")
def password_command(
    context: typer.Context, name: Name, password_stdin: FromStdin = False, data: Data = None
) -> None:
    """Change an account's password; its sessions end."""
    from freerecall import accounts

    with _store(context, data) as store:
        row = accounts.find(store, name)
        accounts.set_password(store, row, _password(password_stdin))
    typer.echo(f"{row.name} has a new password, and no session")


@app.command("role")
def role_command(context: typer.Context, name: Name, role: Role, data: Data = None) -> None:
    """Change an account's role; it counts at the next request."""
    from freerecall import accounts

    wanted = accounts.read_role(role)
    with _store(context, data) as store:
        row = accounts.find(store, name)
        accounts.set_role(store, row, wanted)
    typer.echo(f"{row.name} has the role {wanted}")


@app.command("sessions-end")
def sessions_end_command(context: typer.Context, name: Name, data: Data = None) -> None:
    """End all sessions of an account."""
    from freerecall import accounts

    with _store(context, data) as store:
        row = accounts.find(store, name)
        count = store.end_sessions(row.learner)
    typer.echo(f"{count} session{'' if count == 1 else 's'} of {row.name} ended")


@app.command("export")
def export_command(
    context: typer.Context,
    name: Name,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file, in JSON.")],
    data: Data = None,
) -> None:
    """Write all that is kept of a learner to a file."""
    from freerecall import accounts

    check_output(out)
    with _store(context, data) as store:
        row = accounts.find(store, name)
        content = json.dumps(accounts.export(store, row.learner), ensure_ascii=False, indent=1)
    out.write_text(content + "\n", encoding="utf-8")
    typer.echo(f"all that is kept of {row.name} is in {out}")


@app.command("erase")
def erase_command(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
) -> None:
    """Erase all that is kept of a learner, the account too, for good."""
    from freerecall import accounts
    from freerecall.llm_cache import FileCache

    with _store(context, data) as store:
        row = accounts.find(store, name)
        if not yes:
            told = f"Erase {row.name}'s answers, schedule, self-tests, own decks and account, for good?"
            typer.confirm(told, abort=True)
        accounts.erase(store, row.learner)
    FileCache(settings(data=data or context.find_root().obj).cache).clear()
    typer.echo(f"{row.name} is erased; backups made before still hold the data")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask for the password: give it with --password-stdin")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


@contextmanager
def _store(context: typer.Context, data: Path | None) -> "Iterator[Store]":
    from freerecall.store import Store

    with Store.open(settings(data=data or context.find_root().obj).database) as store:
        yield store
