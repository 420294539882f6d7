"""What schemathesis cannot know of the management API.

The requests are made with one manager token. Were it to revoke or rotate itself, all that follows would
be 401: so what revokes or rotates itself is a token issued for that request, and where a request names
the manager token's own id, it gets another's.
"""

import json
import os
import urllib.request

import schemathesis
from schemathesis import GenerationMode

ADDRESS = os.environ["API_ADDRESS"]
MANAGER = os.environ["MANAGER_TOKEN"]
# prefix, "_1", 22 characters of id, 43 of secret, 6 of checksum
OWN_ID = MANAGER[-71:-49]


def issued(token_type):
    request = urllib.request.Request(
        f"{ADDRESS}/tokens",
        data=json.dumps({"type": token_type, "issued_to": "one request"}).encode(),
        headers={"Authorization": f"Bearer {MANAGER}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case, context):
        alone = case.operation.path.startswith("/tokens/self/")
        return issued("manager")["token"] if alone else MANAGER

    def set(self, case, token, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.path_parameters.get("id") == OWN_ID and case.method == "POST":
        case.path_parameters["id"] = issued("connector")["id"]
    # A body that is right gets the name of a type, or nothing would ever be issued. One that is wrong
    # stays as it is: what is wrong with it must be noticed.
    right = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if right and case.operation.label == "POST /tokens" and isinstance(case.body, dict):
        case.body["type"] = "connector"
        if len(json.dumps(case.body)) % 2:
            for limit in ("scopes", "expires_in", "expires_at", "never_expires", "not_before"):
                case.body.pop(limit, None)
