"""A partner that no authority vouches for, proven by its own web server (RFC 7711)."""

import base64
import functools
import hashlib
import http.server
import json
import ssl
import threading

import pytest

import certificates
import prosody
from street import SELF_SIGNED, House, Street, record

PROVEN, UNPROVEN = HOUSES = [House(name, prosody.Stance(), SELF_SIGNED) for name in ("posh", "plain")]
WELL_KNOWN = "/.well-known/posh/xmpp-server.json"


class Web(http.server.BaseHTTPRequestHandler):
    def __init__(self, documents, *arguments):
        self.documents = documents
        super().__init__(*arguments)

    def do_GET(self):
        document = self.documents.get(self.path)
        self.send_response(404 if document is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(document or b"")))
        self.end_headers()
        self.wfile.write(document or b"")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def street():
    partners = "".join(record(house.domain, posh=True, sasl="required", dialback=False) for house in HOUSES)
    street = Street("posh", houses=HOUSES, partners=partners, webs=[PROVEN.domain])
    public = street.directory / "certificates"
    certificates.issue(public, "posh-web", "serverAuth", PROVEN.domain)
    shown = ssl.PEM_cert_to_DER_cert((public / f"{PROVEN.name}.pem").read_text())
    fingerprint = base64.b64encode(hashlib.sha256(shown).digest()).decode()
    document = json.dumps({"fingerprints": [{"sha-256": fingerprint}], "expires": 3600}).encode()
    web = http.server.ThreadingHTTPServer((street.address(PROVEN), 443), functools.partial(Web, {WELL_KNOWN: document}))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(public / "posh-web.pem", public / "posh-web.key")
    web.socket = tls.wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield street
    web.shutdown()
    web.server_close()
    street.stop()


def test_what_the_partners_web_server_names_is_good_both_ways(street):
    assert street.run(street.converse(PROVEN), seconds=60) == (None, None)
    proofs = {(r["direction"], r["method"], r["proof"]) for r in street.journal()
              if r["event"] == "stream" and r["verdict"] == "allow" and r["partner"] == PROVEN.domain}
    assert proofs >= {("inbound", "external", "posh"), ("outbound", "external", "posh")}


def test_who_has_no_such_document_is_refused_both_ways(street):
    out, back = street.run(street.converse(UNPROVEN), seconds=60)
    assert out is not None and back is not None
