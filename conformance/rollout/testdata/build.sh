#!/usr/bin/env bash
# Compiles the guests of these tests; the results are committed, so that tests need no clang.
set -euo pipefail
cd "$(dirname "$0")"
build() {
  clang --target=wasm32 -O2 -nostdlib -mbulk-memory -fno-builtin -Wl,--no-entry -Wl,--strip-all -I../../../engine/wasm/testdata "${@:2}" -o "$1"
}
for guest in probe:v pieces:d; do
  build "${guest#*:}1.wasm" -DVERSION=1 "${guest%:*}.c"
  build "${guest#*:}2.wasm" -DVERSION=2 -DTRAP "${guest%:*}.c"
  build "${guest#*:}3.wasm" -DVERSION=3 "${guest%:*}.c"
done
