#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutual TLS with Python's own ssl module: it is given the key's reference where it wants a private key file."""

import http.client
import os
import ssl
import sys
import urllib.parse


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: client.py URL CERTIFICATE REFERENCE [CA]")
    url, certificate, reference = sys.argv[1:4]
    context = ssl.create_default_context(cafile=sys.argv[4] if len(sys.argv) == 5 else None)
    try:
        context.load_cert_chain(certificate, reference)
    except ssl.SSLError as error:
        where = os.environ.get("OPENSSL_CONF", "not set")
        sys.exit(f"client.py: '{reference}': {error} (OPENSSL_CONF: {where}; ask `hsmux status`)")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        sys.exit(f"client.py: '{url}': is no https URL")
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=context)
    connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    answer = connection.getresponse()
    sys.stdout.write(answer.read().decode(errors="replace"))
    if answer.status >= 400:
        sys.exit(f"client.py: {url}: {answer.status} {answer.reason}")


try:
    main()
except (OSError, ValueError, http.client.HTTPException) as error:
    sys.exit(f"client.py: {error}")
