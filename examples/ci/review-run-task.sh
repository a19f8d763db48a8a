#!/usr/bin/env bash
# A run task of HCP Terraform (stage post_plan) for whatever receives its request: give it the request's body
# on standard input, after its signature (X-TFC-Task-Signature, HMAC-SHA512) was checked. It reads the plan's
# JSON with the token that came with the request, and answers whether everything in it is approved. A run
# task must answer within an hour, so that it never waits for people: whoever signs later plans again.
set -euo pipefail
umask 077

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/request.json"
of() { jq -er "$1" "$work/request.json"; }

# What the token is for is told to curl by a file, not on its command line.
printf 'header = "Authorization: Bearer %s"\n' "$(of .access_token)" > "$work/auth"
curl -sSfL --config "$work/auth" "$(of .plan_json_api_url)" > "$work/plan.json"

code=0
nhi gate "$work/plan.json" --format json > "$work/gate.json" || code=$?
rm "$work/plan.json" # it holds values in clear text
case $code in
  0) status=passed message="everything in it may be applied" ;;
  4) status=failed message=$(jq -r '[.changes[] | select(.approved | not) | .next // .code] + [.open[] | select(.counts) | .address] | join("; ") | .[0:900]' "$work/gate.json") ;;
  *) status=failed message="nhi gate could not read the plan" ;;
esac
jq -n --arg status "$status" --arg message "$message" \
  '{data: {type: "task-results", attributes: {status: $status, message: $message}}}' > "$work/answer.json"
curl -sSf --config "$work/auth" -X PATCH -H 'Content-Type: application/vnd.api+json' \
  --data @"$work/answer.json" "$(of .task_result_callback_url)"
