"""Every valid row of the negotiation matrix against Prosody: with a good certificate, with a bad one, and without TLS."""

import pytest

import prosody
from matrix import ROWS, check
from street import SELF_SIGNED, House, Street

LENIENT = prosody.Stance(encryption=False, strict=False, modules=("tls", "dialback"))
PLAIN = prosody.Stance(encryption=False, strict=False, modules=("dialback",))
KINDS = (House("known", LENIENT), House("unknown", LENIENT, SELF_SIGNED), House("clear", PLAIN))


@pytest.fixture(scope="module")
def street():
    street = Street("matrix-prosody", houses=KINDS)
    yield street
    street.stop()


@pytest.mark.parametrize("tls,sasl,dialback,known,unknown,clear", ROWS, ids=str)
def test_a_row_of_the_matrix(street, tls, sasl, dialback, known, unknown, clear):
    check(street, tls, sasl, dialback, dict(zip(KINDS, (known, unknown, clear))))
