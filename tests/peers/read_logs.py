"""Reads every event of a log group back through AWS's own SDK, one JSON object a line: read_logs.py ENDPOINT GROUP."""
import json
import sys

import boto3

endpoint, group = sys.argv[1:]
logs = boto3.client(
    "logs", endpoint_url=endpoint, region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
)
for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
    name = stream["logStreamName"]
    for event in logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]:
        print(json.dumps({"stream": name, "timestamp": event["timestamp"], "message": event["message"]}))
