"""The API: who may what, one body for every error, uploads in pieces, nothing from elsewhere."""

import json

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from cspine.domain import CspineError, RequestError, Vertebra, errors
from cspine.service import Role, create_app
from cspine.service.web.app import ROUTERS
from cspine.service.web.errors import STATUS_OF_ERROR
from cspine.service.web.guard import CSRF_HEADER
from tests.service.builders import PASSWORD, Place, make_place, sent

NOBODY = None
# Every route and who may use it at least. A route that is not here fails the test.
LEAST_ROLE: dict[tuple[str, str], Role | None] = {
    ("GET", "/"): NOBODY,
    ("GET", "/login"): NOBODY,
    ("GET", "/admin"): NOBODY,
    ("GET", "/studies/{study_id}"): NOBODY,
    ("GET", "/api/health"): NOBODY,
    ("POST", "/api/session"): NOBODY,
    ("GET", "/api/session"): Role.VIEWER,
    ("DELETE", "/api/session"): Role.VIEWER,
    ("POST", "/api/uploads"): Role.OPERATOR,
    ("PUT", "/api/uploads/{upload_id}/files/{number}"): Role.OPERATOR,
    ("POST", "/api/uploads/{upload_id}/finish"): Role.OPERATOR,
    ("GET", "/api/uploads/{upload_id}"): Role.VIEWER,
    ("GET", "/api/studies"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/findings"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/documents/{kind}"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/geometry"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/volume.nii"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/levels.nii.gz"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/heat.nii.gz"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/slices/{number}.png"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/slices/{number}/levels.png"): Role.VIEWER,
    ("POST", "/api/studies/{study_id}/retry"): Role.OPERATOR,
    ("POST", "/api/studies/{study_id}/send"): Role.OPERATOR,
    ("DELETE", "/api/studies/{study_id}"): Role.ADMIN,
    ("GET", "/api/studies/{study_id}/feedback"): Role.VIEWER,
    ("POST", "/api/studies/{study_id}/feedback"): Role.OPERATOR,
    ("GET", "/api/feedback/labels.zip"): Role.OPERATOR,
    ("GET", "/api/feedback/agreement"): Role.VIEWER,
    ("GET", "/api/studies/{study_id}/deidentified.zip"): Role.OPERATOR,
    ("GET", "/api/metrics"): Role.VIEWER,
    ("GET", "/api/accounts"): Role.ADMIN,
    ("POST", "/api/accounts"): Role.ADMIN,
    ("DELETE", "/api/accounts/{name}"): Role.ADMIN,
    ("GET", "/api/keys"): Role.ADMIN,
    ("POST", "/api/keys"): Role.ADMIN,
    ("DELETE", "/api/keys/{key_id}"): Role.ADMIN,
    ("GET", "/api/audit"): Role.ADMIN,
}
PAGES = {path for (_, path) in LEAST_ROLE if not path.startswith("/api")}
ROLES = ("viewer", "operator", "admin")
ASKING = ("none", "wrong key", "expired key", "expired session", *ROLES, *(f"{role} session" for role in ROLES))
FILLED = {
    "{study_id}": "0" * 32,
    "{upload_id}": "0" * 32,
    "{number}": "0",
    "{kind}": "json",
    "{name}": "x",
    "{key_id}": "x",
}


def _routes() -> set[tuple[str, str]]:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    return {(method, route.path) for route in routes for method in route.methods or ()}


def _headers(place: Place, who: str) -> dict[str, str]:
    if who in ROLES:
        return {"Authorization": f"Bearer {place.accounts.add_key('t', Role.named(who), None)}"}
    if who == "wrong key":
        return {"Authorization": "Bearer cspine_wrong"}
    if who == "expired key":
        token = place.accounts.add_key("t", Role.ADMIN, 0.5)
        place.clock.now += 86400
        return {"Authorization": f"Bearer {token}"}
    if who == "expired session":
        place.accounts.add("old", Role.ADMIN, PASSWORD)
        token = place.accounts.log_in("old", PASSWORD, "")
        place.clock.now += 86400
        return {"Cookie": f"cspine_session={token}"}
    if who.endswith(" session"):
        place.accounts.add(who.replace(" ", "-"), Role.named(who.partition(" ")[0]), PASSWORD)
        token = place.accounts.log_in(who.replace(" ", "-"), PASSWORD, "")
        return {"Cookie": f"cspine_session={token}", CSRF_HEADER: place.accounts.by_session(token).csrf or ""}
    return {}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    place = make_place(tmp_path_factory.mktemp("roles"))
    app = create_app(place.config, place.parts)
    return place, TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def test_every_route_is_in_the_matrix():
    assert _routes() == set(LEAST_ROLE)


@pytest.mark.parametrize("who", ASKING)
def test_no_route_answers_whom_it_must_not(shared, who):
    place, client = shared
    headers = _headers(place, who)
    role = Role.named(who.partition(" ")[0]) if who.partition(" ")[0] in ROLES else None
    wrong = []
    last = ("DELETE", "/api/session")  # it ends the session that asks
    for (method, path), least in sorted(LEAST_ROLE.items(), key=lambda one: one[0] == last):
        for name, value in FILLED.items():
            path = path.replace(f"{{{name}}}", value)  # noqa: PLW2901 - the template filled step by step
        status = client.request(method, path, headers=headers, json={} if method == "POST" else None).status_code
        denied = 401 if role is None else 403
        allowed = least is None or (role is not None and role >= least)
        if (status == denied) == allowed:
            wrong.append((method, path, status))
    assert wrong == []


def _log_in(client: TestClient) -> dict:
    answer = client.post("/api/session", json={"name": "ann", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_browser_session_changes_nothing_without_its_token(place):
    place.accounts.add("ann", Role.OPERATOR, PASSWORD)
    client = place.client(None)
    csrf = _log_in(client)["csrf"]
    new = {"files": 1, "total_bytes": 1}
    assert client.get("/api/session").json()["name"] == "ann"
    forged = client.post("/api/uploads", json=new)
    assert (forged.status_code, forged.json()["error"]["code"]) == (403, "forbidden")
    elsewhere = {CSRF_HEADER: csrf, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/api/uploads", json=new, headers=elsewhere).status_code == 403
    assert client.post("/api/uploads", json=new, headers={CSRF_HEADER: csrf}).status_code == 201


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(place):
    place.accounts.add("ann", Role.VIEWER, PASSWORD)
    answer = place.client(None).post("/api/session", json={"name": "ann", "password": PASSWORD})
    assert {"HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))


def test_failed_log_ins_are_written_down_and_stopped(place):
    client = place.client(None)
    tries = [client.post("/api/session", json={"name": "ann", "password": "no"}).status_code for _ in range(6)]
    assert tries == [401] * 5 + [429]
    rows = place.client().get("/api/audit").json()
    assert [(r["actor"], r["action"], r["outcome"]) for r in rows] == [("ann", "log in", "failed")] * 5


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "http-404"),
        ("GET", "/nothing", 404, "http-404"),
        ("PUT", "/api/studies", 405, "http-405"),
        ("GET", "/api/studies/zz", 400, "invalid-request"),
        ("GET", "/api/studies/" + "0" * 32, 404, "not-found"),
        ("POST", "/api/uploads", 400, "invalid-request"),
    ],
)
def test_every_error_has_the_one_body(place, method, path, status, code):
    answer = place.client().request(method, path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert (error["status"], error["code"]) == (status, code)
    assert error["message"]


def test_no_error_of_ours_is_an_internal_one_by_oversight():
    listed = tuple(kind for kind, _ in STATUS_OF_ERROR)
    mine = {errors.RenderError, errors.TrainingStopped}  # a mistake of the program; never met in the service
    assert [k for k in CspineError.__subclasses__() if not issubclass(k, listed) and k not in mine] == []
    assert all(any(issubclass(k, one) for one in listed) for k in RequestError.__subclasses__())


def test_an_upload_in_pieces_becomes_a_study_with_documents_and_images(place, neck_zip):
    place.teller.fractured = (Vertebra.C5,)
    client = place.client(Role.OPERATOR)
    name = sent(client, neck_zip)
    assert client.get(f"/api/uploads/{name}").json()["state"] == "queued"
    place.work()
    assert client.get(f"/api/uploads/{name}").json()["state"] == "done"
    (row,) = client.get("/api/studies").json()["studies"]
    assert (row["decision"], row["header"]["patient_id"]) == ("rule-in", "P-1")
    at = f"/api/studies/{row['id']}"
    assert client.get(at).json()["documents"] == ["json"]
    assert client.get(f"{at}/findings").json()["decision"] == "rule-in"
    assert client.get(f"{at}/documents/json").json() == client.get(f"{at}/findings").json()
    assert client.get(f"{at}/documents/pdf").status_code == 404
    volume = client.get(f"{at}/volume.nii", headers={"Range": "bytes=344-347"})
    assert (volume.status_code, volume.content) == (206, b"n+1\0")
    for path in ("levels.nii.gz", "heat.nii.gz", "slices/10.png", "slices/10/levels.png", "geometry"):
        assert client.get(f"{at}/{path}").status_code == 200, path
    assert client.get(f"{at}/slices/9999.png").status_code == 422
    assert client.get(f"{at}/slices/1.png?window=x").json()["error"]["code"] == "input-error"


def test_an_interrupted_upload_goes_on_where_it_stopped(place):
    client = place.client()
    name = client.post("/api/uploads", json={"files": 2, "total_bytes": 10}).json()["id"]
    put = f"/api/uploads/{name}/files"
    assert client.put(f"{put}/0", content=b"12345").status_code == 204
    early = client.post(f"/api/uploads/{name}/finish")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "conflict")
    assert "1 of 2 files, 5 of 10 bytes" in early.json()["error"]["message"]
    assert client.put(f"{put}/1?offset=3", content=b"6").status_code == 409
    assert client.get(f"/api/uploads/{name}").json()["received"] == {"0": 5, "1": 0}
    assert client.put(f"{put}/1", content=b"678").status_code == 204
    assert client.put(f"{put}/1?offset=3", content=b"90!").status_code == 413
    assert client.put(f"{put}/1?offset=3", content=b"90").status_code == 204
    assert client.put(f"{put}/7", content=b"").status_code == 404
    assert client.post(f"/api/uploads/{name}/finish").status_code == 202
    assert client.post(f"/api/uploads/{name}/finish").status_code == 202
    assert client.put(f"{put}/1?offset=5", content=b"x").status_code == 409


def test_what_is_too_large_or_does_not_fit_is_refused_before_a_byte_is_sent(tmp_path):
    client = make_place(tmp_path, max_upload_mib=1, max_files=10).client()
    for new in ({"files": 1, "total_bytes": 2**20 + 1}, {"files": 11, "total_bytes": 1}):
        assert client.post("/api/uploads", json=new).status_code == 413
    full = make_place(tmp_path / "full", min_free_mib=2**40).client()
    answer = full.post("/api/uploads", json={"files": 1, "total_bytes": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "rejected")
    assert full.get("/api/health").json()["status"] == "disk-full"


def test_pages_load_nothing_from_elsewhere_and_are_not_framed(place):
    client = place.client(None)
    for path in PAGES:
        page = client.get(path.replace("{study_id}", "0" * 32))
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "://" not in page.text
        assert " style=" not in page.text
    assert client.get("/api/health").headers["cache-control"] == "no-store"


def test_a_request_for_another_host_is_refused(place):
    answer = place.client().get("/api/health", headers={"Host": "evil.example"})
    assert answer.status_code == 400


def test_the_api_describes_itself(place):
    described = place.client(None).get("/api/openapi.json").json()
    assert described["info"]["title"] == "cspine"
    assert {path for (_, path) in LEAST_ROLE if path.startswith("/api")} == set(described["paths"])
    assert all(op.get("description") or op.get("summary") for p in described["paths"].values() for op in p.values())


def test_views_and_changes_stand_in_the_audit_without_a_word_about_the_patient(place, neck_zip):
    client = place.client()
    sent(client, neck_zip)
    place.work()
    study = client.get("/api/studies").json()["studies"][0]["id"]
    client.get(f"/api/studies/{study}")
    client.get(f"/api/studies/{study}/documents/json")
    client.delete(f"/api/studies/{study}")
    rows = client.get("/api/audit").json()
    assert [row["action"] for row in rows] == ["remove", "document json", "view", "upload"]
    assert {row["object"] for row in rows[:3]} == {study}
    assert "Phantom" not in json.dumps(rows)
    assert not (place.config.studies_dir / study).exists()
    assert client.get(f"/api/studies/{study}").status_code == 404
