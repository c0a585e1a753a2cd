"""Sends calls to CloudWatch Logs as they are, without an SDK's checks, signed by AWS's own signer: logs_calls.py ENDPOINT SECRET.

A call is a line of standard input: {"operation", "body"} and, where the body must not be JSON, "raw". An answer is a line of
standard output: {"status", "type", "body"}.
"""
import gzip
import http.client
import json
import sys
from urllib.parse import urlparse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

endpoint, secret = sys.argv[1:]
signer = SigV4Auth(Credentials("test", secret), "logs", "us-east-1")
connection = http.client.HTTPConnection(urlparse(endpoint).netloc, timeout=60)
for line in sys.stdin:
    call = json.loads(line)
    body = call["raw"].encode() if "raw" in call else json.dumps(call["body"]).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Logs_20140328." + call["operation"]}
    if call.get("gzip"):
        body = gzip.compress(body)
        headers["Content-Encoding"] = "gzip"
    request = AWSRequest("POST", endpoint + "/", headers=headers, data=body)
    signer.add_auth(request)
    connection.request("POST", "/", body, dict(request.headers))
    answer = connection.getresponse()
    text = answer.read()
    try:
        parsed = json.loads(text or b"{}")
    except ValueError:
        parsed = {}
    kind = parsed.get("__type") if isinstance(parsed, dict) else None
    print(json.dumps({"status": answer.status, "type": kind, "body": parsed}), flush=True)
