"""The codes of a second factor, against the tables of RFC 4226 and RFC 6238."""

from urllib.parse import parse_qs, urlsplit

import pytest

from workbench.hub.passwords import STEP_S, code_at, new_secret, otpauth, step_of

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
NOW_S = 1_790_000_010.0
STEP = int(NOW_S // STEP_S)


def test_the_table_of_rfc_4226() -> None:
    table = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
    assert " ".join(code_at(SECRET, count) for count in range(10)) == table


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_table_of_rfc_6238(at_s: int, code: str) -> None:
    assert step_of(SECRET, code, 0, at_s) == at_s // STEP_S


def test_a_clock_may_be_half_a_minute_off() -> None:
    right = {off: step_of(SECRET, code_at(SECRET, STEP + off), 0, NOW_S) for off in range(-2, 3)}
    assert right == {-2: None, -1: STEP - 1, 0: STEP, 1: STEP + 1, 2: None}


def test_a_code_and_those_before_it_are_right_once() -> None:
    assert step_of(SECRET, code_at(SECRET, STEP), STEP, NOW_S) is None
    assert step_of(SECRET, code_at(SECRET, STEP - 1), STEP, NOW_S) is None
    assert step_of(SECRET, code_at(SECRET, STEP + 1), STEP, NOW_S) == STEP + 1


@pytest.mark.parametrize("typed", ["", "1", "abcdef", "٣٤٥٦٧٨", "0" * 100])
def test_what_is_no_code_is_wrong(typed: str) -> None:
    assert step_of(SECRET, typed, 0, NOW_S) is None


def test_spaces_do_not_matter() -> None:
    code = code_at(SECRET, STEP)
    assert step_of(SECRET, f" {code[:3]} {code[3:]} ", 0, NOW_S) == STEP


def test_a_secret_is_new_and_an_app_can_take_it() -> None:
    secret = new_secret()
    assert (len(secret), secret == new_secret()) == (32, False)
    address = urlsplit(otpauth(secret, "ada"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert address.path == "/NexusAI%20Studio:ada"
    assert parse_qs(address.query) == {"secret": [secret], "issuer": ["NexusAI Studio"]}
