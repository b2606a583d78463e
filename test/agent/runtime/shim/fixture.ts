import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A run folder, a data root and a runc that only writes down how it was called. */
export interface ShimFixture {
  readonly base: string;
  readonly run: string;
  readonly dataRoot: string;
  /** The fake runc. It ends with the code in the file `<base>/code.<command>`, if there is one. */
  readonly runc: string;
  readonly log: string;
  /** Makes what the engine has made of a container before it calls the runtime. */
  container(id: string, labels: Record<string, string>): void;
  put(path: string, text: string): void;
  exists(path: string): boolean;
  /** The argument lists of all calls of runc so far, joined by spaces (arguments with spaces in brackets). */
  calls(): string[];
  remove(): void;
}

const FAKE_RUNC = `#!/bin/sh
base=\${0%/*}
line=''
for a do case $a in *' '*) line="$line [$a]" ;; *) line="$line $a" ;; esac; done
echo "\${line# }" >>"$base/calls"
[ -n "$FAKE_ENV" ] && echo "env $FAKE_ENV" >>"$base/calls"
for a do if [ -e "$base/code.$a" ]; then
  printf '{"level":"error","msg":"criu failed: type RESTORE errno 22","time":"2026-01-01T00:00:00Z"}\\n' >>"$base/log.json"
  read -r code <"$base/code.$a"; exit "$code"
fi; done
exit 0
`;

export function shimFixture(): ShimFixture {
  const base = mkdtempSync(join(tmpdir(), 'swarmcut-shim-'));
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), text);
  };
  put('runc', FAKE_RUNC);
  chmodSync(join(base, 'runc'), 0o755);
  mkdirSync(join(base, 'run'));
  return {
    base,
    run: join(base, 'run'),
    dataRoot: join(base, 'docker'),
    runc: join(base, 'runc'),
    log: join(base, 'log.json'),
    container: (id, labels) =>
      put(
        `docker/containers/${id}/config.v2.json`,
        JSON.stringify({ ID: id, Config: { Env: ['A=b'], Labels: labels } }),
      ),
    put,
    exists: (path) => existsSync(join(base, path)),
    calls: () => {
      const file = join(base, 'calls');
      return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}
