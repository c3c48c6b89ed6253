#!/usr/bin/env bash
# Tables are printed by cli_print_table() alone, which refuses a command whose row does not say that it prints one
# (CMD_OUTPUT): so none is without --json, --csv, -o and --no-header.
cd "$(dirname "$0")/../.." || exit 2
bad=$(git ls-files '*.c' | grep -v '^\(tests\|base\)/' | xargs grep -n 'table_print(' | grep -v 'cli_print_table(')
[ -z "$bad" ] || { echo "print tables with cli_print_table():"; echo "$bad"; exit 1; }
