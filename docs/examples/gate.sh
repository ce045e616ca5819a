#!/bin/sh
# Hold an implementation of process handles to its specification, in any CI:
#
#   gate.sh ADAPTER [OPTION...]      a known name or the command that starts an adapter; the options
#                                    are those of 'lastref check'
#
# It exits as 'lastref check' does: 0 pass, 1 a law is broken, 2 incomplete or bad input, 3 this machine
# cannot. Whatever came of it is left in $LASTREF_OUT:
#
#   result.json  run.ndjson  junit.xml  result.sarif  summary.md  page/  and a file for each wrong order
#
# The summary is also appended to $GITHUB_STEP_SUMMARY, where there is one.
#
#   LASTREF_OUT      the folder, by default lastref-results
#   LASTREF_CASES    only the cases that match one of these patterns, with blanks between them
#   LASTREF_EXPECT   the list of known deviations, or 'none'
#   LASTREF_SHARD    I/N: the I-th of N equal parts
#   LASTREF_FROM     what pip installs: a requirement or a folder. Without it the lastref on PATH is
#                    used, or 'lastref' installed where there is none
#   LASTREF_PYTHON   the interpreter to install it for, by default python3
set -euf # no file names are made of the patterns

out=${LASTREF_OUT:-lastref-results}
[ $# -ge 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$out"
rm -f "$out/result.json" "$out/summary.md" # of an earlier run

lastref=lastref
if [ -n "${LASTREF_FROM:-}" ] || ! command -v lastref >/dev/null; then
    home=$(mktemp -d)
    trap 'rm -rf "$home"' EXIT
    if ! { "${LASTREF_PYTHON:-python3}" -m venv "$home" && bin=$home/bin && { [ -d "$bin" ] || bin=$home/Scripts; } \
        && "$bin/python" -m pip install --quiet --disable-pip-version-check "${LASTREF_FROM:-lastref}"; } >"$out/install.log" 2>&1
    then
        tail -n 20 "$out/install.log" >&2
        echo "lastref: it could not be installed: see $out/install.log; name what to install with LASTREF_FROM" >&2
        exit 3
    fi
    lastref=$bin/lastref
fi

for pattern in ${LASTREF_CASES:-}; do set -- "$@" --case "$pattern"; done
[ -z "${LASTREF_EXPECT:-}" ] || set -- "$@" --expect "$LASTREF_EXPECT"
[ -z "${LASTREF_SHARD:-}" ] || set -- "$@" --shard "$LASTREF_SHARD"

code=0
# The traces lie beside the result, which names them.
"$lastref" check "$@" --json "$out/result.json" --ndjson "$out/run.ndjson" --junit "$out/junit.xml" \
    --sarif "$out/result.sarif" --html "$out/page" --traces "$out" || code=$?
if [ -s "$out/result.json" ]; then
    "$lastref" report "$out/result.json" --markdown "$out/summary.md" >/dev/null
else
    printf '## lastref: no result\n\nThe run ended with exit code %s; its log says why.\n' "$code" >"$out/summary.md"
fi
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$out/summary.md" >>"$GITHUB_STEP_SUMMARY"
exit "$code"
