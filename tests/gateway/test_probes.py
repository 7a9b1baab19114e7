"""The probe of the API against a running gateway."""

from gateway.service_status import probes


def test_api_that_answers_works(settings, gateway):
    settings.API_BASE_URL = gateway.base_url

    assert probes.api_works() is True
