"""The vendor's own client: reads {endpoint, region, id, secret, token, service, operation, with}, a line
each, and tells what came of it as {ok} or {code}."""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def ask(asked):
    client = boto3.client(
        asked["service"],
        endpoint_url=asked["endpoint"],
        region_name=asked["region"],
        aws_access_key_id=asked["id"],
        aws_secret_access_key=asked["secret"],
        aws_session_token=asked.get("token"),
        config=Config(retries={"max_attempts": 1}),
    )
    try:
        answer = getattr(client, asked["operation"])(**asked["with"])
        answer.pop("ResponseMetadata", None)
        return {"ok": answer}
    except ClientError as error:
        return {"code": error.response["Error"]["Code"]}


for line in sys.stdin:
    print(json.dumps(ask(json.loads(line)), default=str), flush=True)
