#!/usr/bin/env bash
# Compiles the guests of these tests; the results are committed, so that tests need no clang.
set -euo pipefail
cd "$(dirname "$0")"
build() {
  clang --target=wasm32 -O2 -nostdlib -mbulk-memory -fno-builtin -Wl,--no-entry -Wl,--strip-all -I../../../engine/wasm/testdata "${@:2}" probe.c -o "$1"
}
build v1.wasm -DVERSION=1
build v2.wasm -DVERSION=2 -DTRAP
build v3.wasm -DVERSION=3
