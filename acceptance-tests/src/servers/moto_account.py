"""moto as a server of one AWS account, stricter than it comes: what AWS documents and moto leaves out.

Arguments: port, a file that takes the administrator's key as JSON.
"""

import json
import os
import sys

os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

from moto.core.responses import ActionResult
from moto.iam import access_control, models, responses
from moto.secretsmanager import models as secrets
from moto.server import main

ACCOUNT, PARTITION = "123456789012", "aws"


def refuse_inactive_keys():
    made = access_control.IAMUserAccessKey.__init__

    def init(self, account_id, partition, access_key_id, headers):
        made(self, account_id, partition, access_key_id, headers)
        keys = self.backend.get_all_access_keys_for_all_users()
        if any(key.access_key_id == access_key_id and key.status != "Active" for key in keys):
            raise access_control.CreateAccessKeyFailure(reason="InvalidId")

    access_control.IAMUserAccessKey.__init__ = init


def cut_account_details_into_pages():
    whole = responses.IamResponse.get_account_authorization_details

    def page(self):
        result = whole(self)._result
        users = list(result["UserDetailList"])
        first = int(self._get_param("Marker") or 0)
        last = first + min(int(self._get_param("MaxItems") or 100), int(os.environ.get("PAGE", 100)))
        result["UserDetailList"] = users[first:last]
        result["IsTruncated"] = last < len(users)
        if result["IsTruncated"]:
            result["Marker"] = str(last)
        return ActionResult(result)

    responses.IamResponse.get_account_authorization_details = page


def keep_tags_of_users_that_move():
    moved = models.IAMBackend.update_user

    def update(self, user_name, new_path=None, new_user_name=None):
        user = self.get_user(user_name)
        tags = self.tagger.list_tags_for_resource(user.arn)["Tags"]
        self.tagger.delete_all_tags_for_resource(user.arn)
        moved(self, user_name, new_path, new_user_name)
        self.tagger.tag_resource(user.arn, tags)

    models.IAMBackend.update_user = update


def serve_what_bears_awscurrent():
    moved = secrets.SecretsManagerBackend.update_secret_version_stage

    def move(self, secret_id, version_stage, remove_from_version_id, move_to_version_id):
        told = moved(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)
        if version_stage == "AWSCURRENT":
            self.secrets[secret_id].set_default_version_id(move_to_version_id)
        return told

    secrets.SecretsManagerBackend.update_secret_version_stage = move


def administrator():
    iam = models.iam_backends[ACCOUNT][PARTITION]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_user("us-east-1", "administrator")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_user_policy("administrator", "everything", policy)
    key = iam.create_access_key("administrator")
    return {"id": key.access_key_id, "secret": key.secret_access_key}


refuse_inactive_keys()
cut_account_details_into_pages()
keep_tags_of_users_that_move()
serve_what_bears_awscurrent()
with open(sys.argv[2], "w", encoding="utf-8") as told:
    json.dump(administrator(), told)
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
