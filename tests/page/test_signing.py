"""With a token a browser gets a cookie for it, which only reads."""

from __future__ import annotations

import copy
import json

import pytest

from tests.consumers.http.web import Monitor
from tests.page.streams import event, lines

TOKEN = "s3cret pässword"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A monitor with a token."""
    folder = tmp_path_factory.mktemp("locked")
    with Monitor(folder, settings={"HTTP__TOKEN": TOKEN}) as found:
        found.token = None
        yield found


def signed_in(locked):
    """The cookie, as a browser sends it."""
    body = "token=s3cret+p%C3%A4ssword"
    answer = locked.ask("POST", "/sign-in", body=body, headers={"Content_Type": FORM})
    assert (answer.status, answer.headers["location"]) == (303, "/")
    return answer.headers["set-cookie"]


def test_a_visitor_signs_in_and_out(locked, visit):
    """A wrong token is told; the right one shows the page, live; signing out ends it."""
    visitor = visit(locked)
    assert visitor.go().status == 401
    visitor.page.fill("#token", "wrong")
    visitor.follow(visitor.page.get_by_role("button", name="Sign in"))
    assert visitor.text("[role=alert]") == "That is not the token."
    visitor.page.fill("#token", TOKEN)
    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.wait_for("#connection", "Live")
    locked.send(*lines())
    visitor.wait_for(".card", "cat")
    assert visitor.page.evaluate("document.cookie") == ""
    visitor.follow(visitor.page.get_by_role("button", name="Sign out"))
    visitor.page.locator("#token").wait_for()
    assert visitor.go("/query").status == 401


def test_the_cookie(locked):
    """It is for this site and not for scripts, does not hold the token, and is not taken from others."""
    cookie = signed_in(locked)
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "s3cret" not in cookie
    given = cookie.partition(";")[0]
    for path in ("/", "/query", "/api/classes", "/api/openapi.json"):
        assert locked.get(path, Cookie=given).status == 200
        for wrong in (given[:-1], given + "0", given.partition("=")[0] + "=", "a=b", "\xff=\xff"):
            assert locked.get(path, Cookie=wrong).status == 401


def test_the_cookie_only_reads(locked):
    """What changes something, or costs much, needs the token itself."""
    given = signed_in(locked).partition(";")[0]
    headers = {"Cookie": given, "Content_Type": "application/json"}
    for path in ("/api/events", "/sql", "/api/snapshot"):
        answer = locked.ask("POST", path, body=json.dumps(event(1, "cat")), headers=headers)
        assert answer.status == 401, path


def test_forms_of_other_sites_are_refused(locked):
    """Nobody is signed in or out from elsewhere."""
    for path in ("/sign-in", "/sign-out"):
        headers = {"Content_Type": FORM, "Origin": "https://evil.example"}
        answer = locked.ask("POST", path, body="token=x", headers=headers)
        assert answer.status == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [b"", b"token=", b"\xff\x00", b"token=a&token=b", b"a=" * 5_000, b"token=%FF", b"x" * 16_384],
)
def test_odd_forms(locked, body):
    """What is no token is no token."""
    answer = locked.ask("POST", "/sign-in", body=body, headers={"Content_Type": FORM})
    assert answer.status == 401
    assert b"That is not the token" in answer.body


def test_a_form_is_small(locked):
    """A larger one is refused."""
    answer = locked.ask("POST", "/sign-in", body=b"x" * 20_000)
    assert answer.status == 413


def test_programs_are_told_in_json(locked):
    """Only who takes HTML gets a form; what the form is made of is for anybody."""
    assert locked.get("/").fault["error"] == "the token is missing or wrong"
    page = locked.get("/api/classes", Accept="text/html,*/*;q=0.8")
    assert page.status == 401
    assert page.headers["content-type"].startswith("text/html")
    assert locked.get("/page/page.css").status == 200


def test_without_a_token_there_is_nothing_to_sign_in_to(busy):
    """The paths do not exist."""
    assert copy.copy(busy).ask("POST", "/sign-in", body=b"token=x").status == 404
