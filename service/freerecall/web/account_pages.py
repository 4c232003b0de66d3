"""The pages of accounts: login, one's own account, and for admins everybody's."""

import json
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from freerecall import accounts
from freerecall.access import Identity, Role
from freerecall.api.clock import now
from freerecall.api.guard import COOKIE, client_address
from freerecall.api.rules import Admin, Anyone, TheService, Who
from freerecall.api.service import Service
from freerecall.errors import FreerecallError, InputError, TooManyError
from freerecall.llm_cache import FileCache
from freerecall.store import AccountRow
from freerecall.web.render import render

Short = Annotated[str, Form(max_length=1_000)]

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/login")
def login_page(service: TheService) -> Response:
    """Who are you?"""
    return _login_page(service)


def _login_page(service: Service, said: str = "", status: int = 200) -> Response:
    return render("login.html", status, named=service.store.has_accounts(), said=said)


@router.post("/login")
def login_form(
    request: Request,
    service: TheService,
    who: Anyone,
    name: Short = "",
    password: Short = "",
    token: Short = "",
) -> Response:
    """Begin a session. The one that was, ends."""
    agent = request.headers.get("user-agent", "")
    try:
        session = service.login(name, password or token.strip(), client_address(request.scope), agent)
    except TooManyError as error:
        answer = _login_page(service, str(error), 429)
        answer.headers["Retry-After"] = str(max(round(error.wait_s), 1))
        return answer
    if session is None:
        wrong = "That is not the name and password of an account." if name else "That is not the token."
        return _login_page(service, wrong, 403)
    _end(service, who)
    answer = RedirectResponse("/", status_code=303)
    _set_cookie(answer, request, session)
    return answer


def _set_cookie(answer: Response, request: Request, session: str) -> None:
    answer.set_cookie(
        COOKIE,
        session,
        max_age=int(accounts.LONGEST.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


@router.post("/logout")
def logout_form(who: Who, service: TheService) -> Response:
    """End this session."""
    _end(service, who)
    return _gone()


def _end(service: Service, who: Identity | None) -> None:
    if who is not None and who.session:
        service.store.end_session(who.learner, who.session)


def _gone() -> Response:
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/account")
def account_page(who: Who, service: TheService) -> Response:
    """What is kept of you, and what you can do about it."""
    return _account_page(who, service)


def _account_page(who: Identity, service: Service, said: str = "", status: int = 200) -> Response:
    return render(
        "account.html",
        status,
        who=who,
        admin=who.role is Role.ADMIN,
        least=accounts.MIN_PASSWORD,
        sessions=service.store.sessions(who.learner),
        said=said,
    )


@router.post("/account/password")
def password_form(
    who: Who, service: TheService, request: Request, password: Short = "", new: Short = ""
) -> Response:
    """Change it; every session ends but a new one here."""
    try:
        account = _confirmed(who, service, password)
        accounts.set_password(service.store, account, new)
    except InputError as error:
        return _account_page(who, service, f"Not changed: {error}.", 422)
    agent = request.headers.get("user-agent", "")
    session = accounts.begin_session(service.store, who.learner, now=now(), agent=agent)
    answer = RedirectResponse("/account", status_code=303)
    _set_cookie(answer, request, session)
    return answer


def _confirmed(who: Identity, service: Service, password: str) -> AccountRow:
    """Return the account of whoever asks and knows its password. Raises InputError, TooManyError."""
    if not who.name:
        raise InputError("there is no account to this session")
    by_name, _ = service.logins
    if wait := by_name.left(who.name):
        raise TooManyError("Too many wrong passwords: wait a little.", wait)
    by_name.fail(who.name)
    try:
        account = accounts.verify(service.store, who.name, password)
    except TooManyError:  # nothing was tried
        by_name.take_back(who.name)
        raise
    if account is None:
        raise InputError("this is not your password")
    by_name.forgive(who.name)
    return account


@router.post("/account/sessions/end")
def end_sessions_form(who: Who, service: TheService, session: Short = "") -> Response:
    """Sign out one browser, or everywhere."""
    if session:
        service.store.end_session(who.learner, session)
    else:
        service.store.end_sessions(who.learner)
    if session in ("", who.session):
        return _gone()
    return RedirectResponse("/account", status_code=303)


@router.get("/account/export")
def export_file(who: Who, service: TheService) -> Response:
    """All that is kept, as a file."""
    content = json.dumps(accounts.export(service.store, who.learner), ensure_ascii=False, indent=1)
    return Response(
        content,
        media_type="application/json",
        headers={"content-disposition": 'attachment; filename="freerecall.json"'},
    )


@router.post("/account/erase")
def erase_form(who: Who, service: TheService, password: Short = "", sure: Short = "") -> Response:
    """Erase everything, the account too."""
    try:
        _confirmed(who, service, password)
        if not sure:
            raise InputError("tick the box to say that you are sure")
        accounts.erase(service.store, who.learner)
        service.drop_uploads(who)
        FileCache(service.settings.cache).clear()
    except FreerecallError as error:
        if isinstance(error, TooManyError):
            raise
        return _account_page(who, service, f"Not erased: {error}.", 422)
    return _gone()


@router.get("/people")
def people_page(who: Admin, service: TheService) -> Response:
    """Everybody's accounts."""
    return _people_page(who, service)


def _people_page(who: Identity, service: Service, said: str = "", status: int = 200) -> Response:
    rows = service.store.accounts()
    return render(
        "people.html",
        status,
        who=who,
        people=[(row, len(service.store.sessions(row.learner))) for row in rows],
        roles=list(Role),
        least=accounts.MIN_PASSWORD,
        said=said,
    )


@router.post("/people")
def add_person_form(
    who: Admin, service: TheService, name: Short = "", role: Short = "", password: Short = ""
) -> Response:
    """One more. The first is an admin, or nobody could let the others in."""
    try:
        wanted = accounts.read_role(role)
        if wanted is not Role.ADMIN and not service.store.has_accounts():
            raise InputError("the first account must be an admin's")
        row = accounts.add(service.store, name, wanted, password, now=now())
    except FreerecallError as error:
        return _people_page(who, service, f"Not added: {error}.", 422)
    return _people_page(who, service, f"{row.name} can log in now.")


@router.post("/people/{name}")
def person_form(
    name: str,
    who: Admin,
    service: TheService,
    action: Short = "",
    role: Short = "",
    password: Short = "",
) -> Response:
    """Another role, another password, or all sessions ended."""
    row = accounts.find(service.store, name)
    try:
        if action == "role":
            accounts.set_role(service.store, row, accounts.read_role(role))
            said = f"{row.name} has the role {role} now."
        elif action == "password":
            accounts.set_password(service.store, row, password)
            said = f"{row.name} has a new password, and no session."
        elif action == "sessions":
            said = f"{service.store.end_sessions(row.learner)} sessions of {row.name} ended."
        else:
            raise InputError(f"{action!r} is nothing that can be done")
    except FreerecallError as error:
        return _people_page(who, service, f"Not changed: {error}.", 422)
    return _people_page(who, service, said)
