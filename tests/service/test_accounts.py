"""Nobody gets in without an account that somebody made; guesses are slowed, sessions end, secrets are not stored."""

import pytest
from sqlalchemy import select

from cspine.domain import ConfigError, Conflict, Forbidden, NotFound, TooManyTries, Unauthenticated
from cspine.service import Actor, Audit, Role
from cspine.service.accounts import FAILURE_WINDOW_S, FAILURES_ALLOWED, LOG_IN
from cspine.service.tables import accounts, api_keys, sessions
from tests.service.builders import PASSWORD


def test_there_is_no_account_before_somebody_makes_one(place):
    assert place.accounts.listed() == []
    with pytest.raises(Unauthenticated, match="the name or the password is wrong"):
        place.accounts.log_in("admin", "admin", "127.0.0.1")


def test_a_session_belongs_to_its_account_until_it_ends(place):
    place.accounts.add("ann", Role.OPERATOR, PASSWORD)
    token = place.accounts.log_in("ann", PASSWORD, "127.0.0.1")
    actor = place.accounts.by_session(token)
    assert (actor.name, actor.role) == ("ann", Role.OPERATOR)
    place.accounts.log_out(token)
    with pytest.raises(Unauthenticated, match="the session has ended"):
        place.accounts.by_session(token)


def test_a_session_ends_when_idle_and_after_its_longest_time(place):
    place.accounts.add("ann", Role.VIEWER, PASSWORD)
    idle = place.accounts.log_in("ann", PASSWORD, "")
    place.clock.now += 60 * place.config.session_idle_min + 1
    with pytest.raises(Unauthenticated):
        place.accounts.by_session(idle)
    busy = place.accounts.log_in("ann", PASSWORD, "")
    for _ in range(int(3 * place.config.session_hours)):
        place.clock.now += 20 * 60
        place.accounts.by_session(busy)
    place.clock.now += 60
    with pytest.raises(Unauthenticated):
        place.accounts.by_session(busy)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("short", "5 characters; at least 12"),
        ("my name is ANN 1234", "holds the name"),
        ("aaaaaaaaaaaaaaaaaaaa", "fewer than 5 different"),
    ],
)
def test_a_weak_password_is_refused(place, password, message):
    with pytest.raises(ConfigError, match=message):
        place.accounts.add("ann", Role.VIEWER, password)


def test_guessing_is_stopped_after_some_failures_and_allowed_again_later(place):
    place.accounts.add("ann", Role.VIEWER, PASSWORD)
    notes = Audit(place.parts.database, place.clock)
    for _ in range(FAILURES_ALLOWED):
        notes.note("ann", LOG_IN, "", "10.0.0.9", "failed")
    with pytest.raises(TooManyTries, match="5 failed attempts within 15 minutes"):
        place.accounts.log_in("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(TooManyTries):
        place.accounts.log_in("bob", PASSWORD, "10.0.0.9")
    place.clock.now += FAILURE_WINDOW_S + 1
    place.accounts.log_in("ann", PASSWORD, "10.0.0.9")


def test_nothing_stored_lets_anybody_in(place):
    place.accounts.add("ann", Role.ADMIN, PASSWORD)
    secret = {PASSWORD, place.accounts.log_in("ann", PASSWORD, ""), place.accounts.add_key("k", Role.ADMIN, None)}
    with place.parts.database.read() as connection:
        stored = str([connection.execute(select(table)).all() for table in (accounts, sessions, api_keys)])
    assert not any(one in stored for one in secret)


def test_a_key_ends_when_it_expires_or_is_withdrawn(place):
    lasting, short = place.accounts.add_key("k", Role.VIEWER, None), place.accounts.add_key("s", Role.VIEWER, 1)
    assert place.accounts.by_key(short).name == "key:s"
    place.clock.now += 86401
    with pytest.raises(Unauthenticated, match="unknown or has expired"):
        place.accounts.by_key(short)
    place.accounts.remove_key(next(k["id"] for k in place.accounts.keys_listed() if k["name"] == "k"))
    with pytest.raises(Unauthenticated):
        place.accounts.by_key(lasting)


def test_the_last_administrator_stays(place):
    place.accounts.add("ann", Role.ADMIN, PASSWORD)
    with pytest.raises(Conflict, match="last administrator"):
        place.accounts.remove("ann")
    place.accounts.add("bob", Role.ADMIN, PASSWORD)
    place.accounts.remove("ann")
    with pytest.raises(NotFound):
        place.accounts.remove("ann")


def test_each_role_may_what_the_ones_before_it_may():
    Actor("a", Role.ADMIN).need(Role.OPERATOR)
    with pytest.raises(Forbidden, match="needs the role admin; a is viewer"):
        Actor("a", Role.VIEWER).need(Role.ADMIN)
