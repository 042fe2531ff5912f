#!/usr/bin/env bash
# Compiles the guests of these tests; the results are committed, so that tests need no clang.
set -euo pipefail
cd "$(dirname "$0")"
for c in *.c; do
  clang --target=wasm32 -O2 -nostdlib -mbulk-memory -fno-builtin -Wl,--no-entry -Wl,--strip-all "$c" -o "${c%.c}.wasm"
done
