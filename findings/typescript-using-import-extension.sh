#!/bin/sh
# In a function with `using`, TypeScript does not rewrite the extension of a dynamic import.
#
# Packages: typescript 6.0.3 (npm).
# Expected: with rewriteRelativeImportExtensions, import('./a.ts') becomes
#   import("./a.js") wherever it stands; the release notes of 5.7 name dynamic imports
#   of literal paths among what is rewritten.
# What happens: where `using` has to be turned into older JavaScript (target ES2023 and
#   below), the imports of the same function keep their .ts. There is no diagnostic;
#   the program fails when it comes to that line, since there is no such file. With
#   target ESNext, where `using` stays, the extension is rewritten.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts typescript@6.0.3
cat >"$dir/a.ts" <<'END'
export {};
END
cat >"$dir/main.ts" <<'END'
export async function plain(): Promise<unknown> {
  return await import('./a.ts');
}
export async function withUsing(): Promise<unknown> {
  using _nothing = null;
  return await import('./a.ts');
}
END
for target in es2023 esnext; do
  echo "$target"
  (cd "$dir" && node_modules/.bin/tsc --target "$target" --lib esnext --module esnext --moduleResolution bundler \
    --rewriteRelativeImportExtensions --outDir "$target" main.ts)
  grep -o 'import([^)]*)' "$dir/$target/main.js"
done >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
es2023
import("./a.js")
import('./a.ts')
esnext
import("./a.js")
import("./a.js")
END
diff "$dir/expected" "$dir/seen"
