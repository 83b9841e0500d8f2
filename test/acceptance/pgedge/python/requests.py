"""As much of the module `requests` as a client program uses, on the standard library alone."""

import json as _json
import os
import ssl
import urllib.error
import urllib.request


class Response:
    def __init__(self, status_code, headers, content):
        self.status_code = status_code
        self.headers = headers
        self.content = content

    @property
    def text(self):
        return self.content.decode("utf-8")

    def json(self):
        return _json.loads(self.content)


def post(url, json=None, headers=None, timeout=20):
    # The headers that the real module adds by itself.
    sent = {"User-Agent": "python-requests/2.32.3", "Accept": "*/*", "Accept-Encoding": "identity"}
    sent.update(headers or {})
    request = urllib.request.Request(url, data=_json.dumps(json).encode("utf-8"), headers=sent, method="POST")
    context = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            return Response(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as answer:
        return Response(answer.code, answer.headers, answer.read())
