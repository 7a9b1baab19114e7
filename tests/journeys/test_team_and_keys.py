"""A member is invited and given more rights, a key is rotated, and a charge is explained, in a real browser."""

import re
import time

import pytest
from django.conf import settings
from django.test import Client

from tests import factories
from tests.journeys import browser
from tests.journeys.browser import Visitor
from tests.upstream import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SECONDS = 60
PASSWORD = "correct horse battery staple"
LINK = re.compile(r"https?://[^/\s]+(/invitations/[\w/]+)")
SECRET = re.compile(r"sk-exr-live-\w{49}")


@pytest.fixture
def secret(transactional_db):
    """The secret of acme's key; made before the browser runs, which keeps Django's rows to itself."""
    acme = factories.make_organization("Acme", owner=factories.make_user("alice@acme.example"))
    factories.make_credit(acme, usd="10")
    factories.make_model()
    return factories.make_api_key(acme, name="prod-api").secret


@pytest.fixture
def session(secret):
    """The cookie of alice's session."""
    client = Client()
    assert client.login(email="alice@acme.example", password=factories.PASSWORD)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def site(session, start_servers, tmp_path):
    """One process, with mail in files."""
    [gateway] = start_servers(
        1,
        EMAIL_BACKEND="django.core.mail.backends.filebased.EmailBackend",
        EMAIL_FILE_PATH=str(tmp_path),
    )
    return gateway


@pytest.fixture
def meet(site, session, tmp_path):
    """Return a function that makes a visitor, alice or a stranger; none may have met an error."""
    visitors = []
    with browser.chromium() as chromium:

        def meet(*, is_alice):
            site_url = f"http://127.0.0.1:{site.port}"
            visitors.append(Visitor(chromium, site_url=site_url, mail_folder=tmp_path))
            if is_alice:
                visitors[-1].page.context.add_cookies(
                    [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site_url}]
                )
            return visitors[-1]

        yield meet
        for visitor in visitors:
            visitor.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


def mail_with(folder, pattern):
    """Return what a pattern finds in the mails, once it is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        texts = [path.read_text().replace("=\n", "") for path in sorted(folder.glob("*.log"))]
        found = [match[1] for text in texts for match in pattern.finditer(text)]
        if found:
            return found[-1]
        assert time.monotonic() < deadline, "the mail is not there"
        time.sleep(0.1)


def test_invited_visitor_looks_and_makes_keys_once_the_role_allows_it(meet, tmp_path):
    alice = meet(is_alice=True)
    alice.go("/dashboard/acme/team/")
    alice.page.get_by_label("Email address").fill("dora@acme.example")
    alice.page.get_by_label("Role", exact=True).select_option("viewer")
    alice.page.get_by_role("button", name="Send invitation").click()
    alice.page.get_by_text("A mail with a link is on its way to dora@acme.example.").wait_for()

    dora = meet(is_alice=False)
    dora.go(mail_with(tmp_path, LINK))
    dora.page.get_by_role("link", name="Make an account and join").click()
    dora.page.get_by_label("Email").fill("dora@acme.example")
    dora.page.get_by_label("Password", exact=True).fill(PASSWORD)
    dora.page.get_by_role("button", name="Sign up").click()
    dora.page.get_by_label("Code").fill(dora.read_code("dora@acme.example"))
    dora.page.get_by_role("button", name="Continue").click()
    dora.page.get_by_role("button", name="Join").click()
    dora.page.get_by_text("Welcome to Acme.").wait_for()
    dora.go("/dashboard/acme/keys/")
    dora.page.get_by_role("heading", name="API keys", level=1).wait_for()
    assert dora.page.get_by_role("link", name="New key").count() == 0

    alice.page.reload()
    row = alice.page.get_by_role("row").filter(has_text="dora@acme.example")
    row.get_by_label("Role of dora@acme.example").select_option("developer")
    row.get_by_role("button", name="Save").click()
    alice.page.get_by_text("dora@acme.example is now Developer.").wait_for()

    dora.page.reload()
    dora.page.get_by_role("link", name="New key").first.click()
    dora.page.get_by_label("Name").fill("dora's")
    dora.page.get_by_role("button", name="Make key").click()
    dora.page.get_by_role("heading", name="Save your key").wait_for()


def test_both_secrets_work_through_a_rotation_until_the_old_one_ends(secret, site, meet):
    old = secret

    def status(one):
        return site.chat(one, model="sandbox/echo").status

    assert status(old) == 200
    alice = meet(is_alice=True)
    page = alice.page
    alice.go("/dashboard/acme/keys/")
    page.get_by_role("link", name="prod-api").click()
    page.get_by_role("link", name="Rotate…").click()
    page.get_by_label("The present secret stops working").select_option("24")
    page.get_by_role("button", name="Make new secret").click()
    page.get_by_role("heading", name="Save your key").wait_for()
    [new] = set(SECRET.findall(page.content()))
    assert new != old
    assert [status(secret) for secret in (new, old)] == [200, 200]

    page.get_by_role("link", name="Scopes, limits and budgets").click()
    page.get_by_role("button", name="End the old one now").click()
    page.get_by_text("The old secret of prod-api is refused from now on.").wait_for()

    wait_until(lambda: status(old) == 401)
    assert status(new) == 200


def test_charge_of_a_request_is_explained_line_by_line(secret, site, meet):
    answer = site.chat(secret, model="sandbox/echo", text="What did this cost?")
    cost = answer.headers["x-exerati-cost-usd"]
    alice = meet(is_alice=True)
    page = alice.page
    alice.go("/dashboard/acme/requests/")
    row = page.get_by_role("row").filter(has_text="sandbox/echo")
    wait_for_row(page, row)
    row.get_by_role("link", name="sandbox/echo").click()

    table = page.get_by_role("table", name="The price of this request")
    table.wait_for()
    lines = [cells.inner_text().split("\t") for cells in table.locator("tbody tr").all()]
    products = sum(int(count.replace(",", "")) * picousd(rate) for _, count, rate, _ in lines)
    charged = table.locator("tfoot tr").last.inner_text()
    assert f"${cost}" in charged.replace(",", "")
    assert products == round(float(cost) * 10**12)
    words = page.locator("main").inner_text()
    assert answer.headers["x-request-id"] in words
    assert "Reserved before sending" in words


def picousd(rate):
    """Return what one token costs, of a rate such as `$0.15 / 1M`."""
    [amount] = re.findall(r"\$([\d.,]+)", rate)
    return round(float(amount.replace(",", "")) * 10**6)


def wait_for_row(page, row):
    deadline = time.monotonic() + SECONDS
    while not row.count():
        assert time.monotonic() < deadline, "the request is not in the log"
        time.sleep(0.2)
        page.reload()
