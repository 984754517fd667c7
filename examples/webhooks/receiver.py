#!/usr/bin/env python3
"""Takes webhooks of Vefa: checks that each is Vefa's, unchanged and recent, and prints the event, each once.

    python3 receiver.py --port 8080 --secret-file crm.whsec

What matters is verify(); the rest is a small HTTP server from Python's library around it. Signatures are those of Standard Webhooks
(https://www.standardwebhooks.com), for which there are libraries in many languages.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import sys
import time

# How old a request may be, or how far the clocks may differ. What is older may be a copy that somebody kept.
TOLERANCE_S = 300
BODY_BYTES_MAX = 4 * 1024 * 1024


class NotOurs(Exception):
    """Nobody who knows the secret sent it, or not now."""


def verify(secrets, headers, body, now=None):
    """Passes if one of the secrets signed this body, recently. `body` is the bytes as they came: JSON that was read and written again
    has another signature."""
    try:
        event_id, sent = headers["webhook-id"], int(headers["webhook-timestamp"])
        signatures = headers["webhook-signature"].split(" ")
    except (KeyError, AttributeError, TypeError, ValueError):
        raise NotOurs("a header is missing") from None
    if abs((time.time() if now is None else now) - sent) > TOLERANCE_S:
        raise NotOurs("it is too old, or the clocks differ")
    signed = f"{event_id}.{sent}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"))
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        # Compared in constant time. Several secrets sign while one takes the place of another.
        if any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in signatures):
            return
    raise NotOurs("no signature fits")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    secrets = []
    # An event comes again when its answer was lost. A real receiver keeps ids where it keeps what it made of the events, and in one step.
    seen = set()

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            return self.answer(413)
        body = self.rfile.read(length)
        try:
            verify(self.secrets, self.headers, body)
        except NotOurs as reason:
            print(f"refused: {reason}", file=sys.stderr, flush=True)
            return self.answer(401)
        event = json.loads(body)
        if event["id"] not in self.seen:
            self.seen.add(event["id"])
            print(json.dumps(event), flush=True)
        # Only now: what is answered by 2xx is not sent again.
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--secret-file", action="append", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    Handler.secrets = [path.read_text() for path in arguments.secret_file]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    print(f"listening on port {arguments.port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
