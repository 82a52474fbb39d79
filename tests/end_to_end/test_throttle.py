"""Keys and limits of the API under load: nobody gets through without a key, and none is slowed for another's sake."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from contract.front_door import API_KEY_HEADER
from contract.names import ApiPath
from tests.end_to_end.checkout import copy_checkout
from tests.end_to_end.local_stage import LocalStage, add_stage, running_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STAGE = "throttled"
PER_SECOND = 1
BURST = 5
CLIENTS = 8
# A load run asks no longer than this for what it waits for, and no more often than that.
SECONDS = 60
MOST_REQUESTS = 5_000
OPEN = {ApiPath.PAGE, ApiPath.DOCS, ApiPath.DOCUMENT}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


@dataclass(frozen=True)
class Api:
    """The API of a stage, asked by several clients at once."""

    stage: LocalStage
    client: httpx.Client

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, path.replace("{number}", "0"), **options)

    def cheap(self, key: str) -> httpx.Response:
        """Return the answer to what costs the least and wants a key."""
        return self.ask("GET", ApiPath.BREEDS, headers={API_KEY_HEADER: key})

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", ApiPath.DOCUMENT).json()
        return found

    def new_key(self, *, enabled: bool = True, in_plan: bool = True) -> tuple[str, str]:
        """Return id and value of a key that somebody adds by hand to the stage's usage plan."""
        gateway = self.stage.client("apigateway")
        key = gateway.create_api_key(name="another", enabled=enabled)
        if in_plan:
            (plan,) = gateway.get_usage_plans()["items"]
            gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
        return key["id"], key["value"]

    @contextlib.contextmanager
    def pressed(self, key: str) -> Iterator[list[httpx.Response]]:
        """Yield a list that fills with the answers to one key, which CLIENTS threads use at once."""
        answers: list[httpx.Response] = []
        over = threading.Event()

        def press() -> None:
            while not over.is_set() and len(answers) < MOST_REQUESTS:
                answers.append(self.cheap(key))

        with ThreadPoolExecutor(CLIENTS) as threads:
            pressing = [threads.submit(press) for _ in range(CLIENTS)]
            try:
                yield answers
            finally:
                over.set()
        for each in pressing:
            each.result()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    checkout = copy_checkout(tmp_path_factory.mktemp("throttled") / "pedigree")
    add_stage(checkout, STAGE, api={"requests_per_second": PER_SECOND, "burst": BURST})
    with running_stage(checkout, STAGE) as stage:
        url = stage.variables["PEDIGREE_API_URL"]
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield Api(stage, client)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen in {SECONDS} s"
        time.sleep(0.01)


def count(answers: list[httpx.Response], status: int) -> int:
    return sum(answer.status_code == status for answer in list(answers))


def assert_error(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    error = answer.json()["error"]
    assert error.keys() == {"code", "message", "request_id"}
    assert error["code"] == code
    assert error["message"]
    assert answer.headers["x-request-id"] == error["request_id"] != ""


def wanting_a_key(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (method, path) of every operation of the document that wants a key."""
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method.upper() in METHODS and operation.get("security", document.get("security"))
    ]


def test_everything_but_the_page_and_the_documentation_wants_a_key(api: Api) -> None:
    document = api.document
    wanting = {path for _, path in wanting_a_key(document)}
    assert wanting == set(document["paths"]) - OPEN
    assert wanting >= {ApiPath.PREDICT, ApiPath.BREEDS, ApiPath.EXAMPLE, ApiPath.HEALTH, ApiPath.UPLOADS}


def test_no_deployed_method_is_open_that_the_document_does_not_say_is(api: Api) -> None:
    gateway = api.stage.client("apigateway")
    (rest_api,) = gateway.get_rest_apis()["items"]
    resources = gateway.get_resources(restApiId=rest_api["id"], limit=500, embed=["methods"])["items"]
    methods = [
        (resource["path"], method, described["apiKeyRequired"])
        for resource in resources
        for method, described in resource.get("resourceMethods", {}).items()
    ]
    assert methods
    open_ones = {path for path, method, wants_key in methods if method != "OPTIONS" and not wants_key}
    assert open_ones <= OPEN


@pytest.fixture(scope="module")
def useless_keys(api: Api) -> dict[str, str | None]:
    """Keys by what is wrong with them."""
    gateway = api.stage.client("apigateway")
    switched_off, value = api.new_key()
    switch = {"op": "replace", "path": "/enabled", "value": "false"}
    gateway.update_api_key(apiKey=switched_off, patchOperations=[switch])
    deleted, deleted_value = api.new_key()
    gateway.delete_api_key(apiKey=deleted)
    return {
        "none": None,
        "empty": "",
        "unknown": "k" * 40,
        "cut": api.stage.variables["PEDIGREE_API_KEY"][:-1],
        "made disabled": api.new_key(enabled=False)[1],
        "switched off": value,
        "deleted": deleted_value,
        "in no plan": api.new_key(in_plan=False)[1],
    }


def test_no_documented_request_gets_through_without_a_good_key(api: Api, useless_keys: dict[str, str | None]) -> None:
    asked = list(itertools.product(useless_keys.items(), wanting_a_key(api.document)))

    def ask(one: tuple[tuple[str, str | None], tuple[str, str]]) -> httpx.Response:
        (_, key), (method, path) = one
        return api.ask(method, path, headers={} if key is None else {API_KEY_HEADER: key})

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(ask, asked))
    for answer in answers:
        assert_error(answer, 403, "Forbidden")


def test_no_other_method_or_spelling_gets_through_without_a_key(api: Api) -> None:
    documented = set(wanting_a_key(api.document))
    paths = sorted({path for _, path in documented})
    others = [each for each in itertools.product(METHODS, paths) if each not in documented]
    for path in paths:
        spelled = (f"{path}/", f"{path}/more", path.replace("e", "%65", 1), path.upper().replace("NUMBER", "number"))
        others += [("POST" if path == ApiPath.PREDICT else "GET", each) for each in spelled]
    for method, path in others:
        answer = api.ask(method, path)
        assert answer.status_code in (403, 404), f"{method} {path}: {answer.status_code} {answer.text[:200]}"


def test_a_key_anywhere_but_in_its_header_is_no_key(api: Api) -> None:
    _, key = api.new_key()
    for options in (
        {"params": {API_KEY_HEADER: key}},
        {"headers": {"Authorization": key}},
        {"headers": {"Authorization": f"Bearer {key}"}},
        {"headers": {"Cookie": f"{API_KEY_HEADER}={key}"}},
    ):
        assert_error(api.ask("GET", ApiPath.BREEDS, **options), 403, "Forbidden")
    assert api.cheap(key).status_code != 403


def test_a_key_beyond_its_limit_is_refused_in_our_words(api: Api) -> None:
    _, key = api.new_key()
    with api.pressed(key) as answers:
        wait_for(lambda: count(answers, 429) > CLIENTS)
    for answer in answers:
        if answer.status_code == 429:
            assert_error(answer, 429, "TooManyRequests")


def test_a_key_gets_its_burst_and_then_its_rate_and_no_more(api: Api) -> None:
    _, key = api.new_key()
    started = time.monotonic()
    with api.pressed(key) as answers:
        # A few more than the burst: those come at the rate, while requests beyond it go on being refused.
        wait_for(lambda: len(answers) - count(answers, 429) >= BURST + 2)
    elapsed = time.monotonic() - started
    through = len(answers) - count(answers, 429)
    assert BURST + 2 <= through <= BURST + PER_SECOND * elapsed
    assert count(answers, 403) == 0


def test_a_key_that_is_throttled_leaves_another_alone(api: Api) -> None:
    (_, greedy), (_, modest) = api.new_key(), api.new_key()
    with api.pressed(greedy) as answers:
        wait_for(lambda: count(answers, 429) > CLIENTS)
        others = [api.cheap(modest) for _ in range(BURST)]
        refused = count(answers, 429)
        wait_for(lambda: count(answers, 429) > refused)
    assert [other.status_code for other in others if other.status_code in (403, 429)] == []


def test_strangers_without_a_key_do_not_use_up_a_key_s_requests(api: Api) -> None:
    _, key = api.new_key()
    with api.pressed("a stranger's guess at a key") as answers:
        wait_for(lambda: len(answers) >= 10 * BURST)
        others = [api.cheap(key) for _ in range(BURST)]
    assert {answer.status_code for answer in answers} == {403}
    assert [other.status_code for other in others if other.status_code in (403, 429)] == []
