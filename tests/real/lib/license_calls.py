"""The license calls of an administrator, as rules ML-4 to ML-30 of src/manual.md have them."""

import json

from lib.appliance import curl
from lib.report import expect

LICENSE = "/v1/management/license"
NETWORK, MODE, CERTIFICATE = LICENSE + "/network", LICENSE + "/offlinemode", LICENSE + "/offlineactivation"
WHO = {"username": "Noor Example", "email_address": "noor@example.com", "company_name": "Example & Sons Ltd"}


def call(appliance, method, path, body=None):
    data = () if body is None else ("-H", "Content-Type: application/json", "-d", json.dumps(body))
    return curl("-q", "-X", method, *data, appliance.url("management", path))


def told(answer, status=200):
    expect(answer.status == status, f"{status} expected: {answer}")
    return json.loads(answer.body)


def apply(appliance, code):
    return call(appliance, "POST", LICENSE, {"license": code, **WHO})


def refusal(answer, status, error, reason=None):
    """The documented error; what the appliance says about it."""
    body = told(answer, status)
    expect(error in body["error"], f"{body}")
    expect(reason in (None, body["reason"]), f"{reason} expected: {body}")
    return body


def set_proxy(appliance, configuration):
    shown = told(call(appliance, "POST", NETWORK, configuration))
    expect(told(call(appliance, "GET", NETWORK)) == shown, f"GET shows something else than {shown}")
    return shown["http_configuration"]


def in_and_out(appliance, code, computers):
    """Activates, looks, gives back."""
    status = told(apply(appliance, code))
    expect(status["licensed"] and status["connected"], f"{status}")
    status = told(call(appliance, "GET", LICENSE))
    expect((status["licensed"], status["license_code"]) == (True, code), f"{status}")
    computers.add(status["computer_id"])
    returned = told(call(appliance, "DELETE", LICENSE))
    expect(returned == {"transcription_secs_returned": 3600}, f"{returned}")
    status = told(call(appliance, "GET", LICENSE))
    expect(not status["licensed"], f"{status}")
