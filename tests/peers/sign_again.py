"""Signs a request again with AWS's own SDK, and prints the signature: sign_again.py ID SECRET TOKEN REGION, the request's head on standard input."""
import sys

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

identity, secret, token, region = sys.argv[1:]
first, *lines = sys.stdin.read().splitlines()
method, target, _ = first.split(" ")
headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
request = AWSRequest(method, f"http://{headers['host']}{target}", headers={name: headers[name] for name in signed})
request.context["timestamp"] = headers["x-amz-date"]
auth = S3SigV4Auth(Credentials(identity, secret, token), "s3", region)
print(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
