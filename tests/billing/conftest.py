"""What most tests of money begin with."""

import pytest

from tests.billing.calls import Payer, make_payer


@pytest.fixture
def payer(transactional_db) -> Payer:
    """Return an organization with a key, a wallet and a price."""
    return make_payer()
