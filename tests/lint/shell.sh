#!/usr/bin/env bash
# Every script passes shellcheck.
cd "$(dirname "$0")/../.." || exit 2
command -v shellcheck >/dev/null || { echo "skipped: no shellcheck"; exit 0; }
git ls-files demo check .ci/run tests/bench/instructions '*.sh' | xargs shellcheck -x
