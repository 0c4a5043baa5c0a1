"""Logging in with a user name and a password, which MAAS does outside its API."""

from collections.abc import Mapping

from maas_simulator.http.calls import Answer
from maas_simulator.model.auth import User
from maas_simulator.model.forms import Form, last
from maas_simulator.model.refusals import HTML, Refusal

PATH = "/MAAS/accounts/authenticate/"


def authenticate(users: Mapping[str, User], method: str, form: Form) -> Answer:
    """Return the API key of a user. MAAS can create several keys of a user by name; here each user has one."""
    if method != "POST":
        raise Refusal(405, "", HTML, {"Allow": "POST"}).without_vary()
    user = users.get(last(form, "username") or "")
    if user is None or not user.accepts(last(form, "password") or ""):
        raise Refusal(403, "", HTML).without_vary()
    key = {
        "consumer_key": user.consumer,
        "name": last(form, "consumer") or "MAAS consumer",
        "token_key": user.token,
        "token_secret": user.secret,
    }
    return Answer(key, content_type="application/json", headers={}, indented=False)
