#!/usr/bin/env bash
# What is in production and not in the release before?
set -euo pipefail
repo=${REPO:-/srv/app}

cur=$(git -C "$repo" describe --tags --abbrev=0)
prev=$(git -C "$repo" describe --tags --abbrev=0 "${cur}^")

echo "release $cur, before that $prev"
git -C "$repo" --no-pager log --no-merges --format='%h %an %ad %s' --date=short "${prev}..${cur}"
echo
echo "== changed config and migrations"
git -C "$repo" --no-pager diff --stat "${prev}..${cur}" -- config/ db/migrations/
echo
echo "== local changes on this host"
git -C "$repo" status --porcelain
