import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** The test bed's Debian root has the real runc. */
const CACHE = '/var/cache/swarmcut-testbed';
const ROOT = existsSync(CACHE) ? readdirSync(CACHE).find((name) => /^root-[0-9a-f]+$/.test(name)) : undefined;
const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));
const CGROUP = `swarmcut-shim-test-${process.pid}`;

/** Its own mounts and pids over the root, then a container's life through the shim; each step says one line. */
const SCRIPT = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/mnt"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/work" "$1/mnt"
cd "$1/mnt"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p opt/shim old
mount --bind "$3/agent/runtime/shim" opt/shim
pivot_root . old
umount -l old
set +e
mkdir -p /b/rootfs /run/swarmcut/restored /run/swarmcut/moved /run/swarmcut/expect
mount --bind / /b/rootfs
cd /b
runc spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sleep","1000"/; s|"linux": {|"linux": {"cgroupsPath": "/'"$4"'/c1",|' config.json
shim() { /opt/shim/shim.sh --root /run/r --log /log --log-format json "$@"; }
status() { shim state c1 2>/dev/null | sed -n 's/.*"status": "\\(.*\\)".*/\\1/p'; }
say() { echo "$1: $2 $(status)"; }

shim create --bundle /b --pid-file /pid c1 </dev/null >/out 2>&1
say create $?
touch /run/swarmcut/restored/c1
shim start c1; say 'start of a restored one' $?
rm /run/swarmcut/restored/c1
shim start c1; say start $?
shim pause c1; say pause $?
shim kill c1 TERM; say 'kill while it is here' $?
touch /run/swarmcut/moved/c1
shim kill c1 TERM; echo "kill after it has moved: $?"
n=0; while [ "$(status)" != stopped ] && [ $n -lt 500 ]; do sleep 0.02; n=$((n + 1)); done
say ended 0
shim delete c1; say delete $?
echo "marks: $(echo /run/swarmcut/moved/* /run/swarmcut/restored/*)"
# As an agent and an engine leave it; with a label of ours the programs get TCP where they ask for MPTCP.
mkdir -p /run/swarmcut/sidecar /data
echo "data_root='/data'" >/run/swarmcut/shim.conf
mptcp() {
  mkdir -p "/data/containers/$1"
  printf '{"Config":{"Labels":{%s"com.docker.swarm.service.name":"s_web"}}}' "$2" >"/data/containers/$1/config.v2.json"
  shim create --bundle /b --pid-file /pid "$1" </dev/null >/out 2>&1
  before=$(nsenter --net="/proc/$(cat /pid)/ns/net" cat /proc/sys/net/mptcp/enabled)
  shim start "$1"
  echo "mptcp of $1: $before $(nsenter --net="/proc/$(cat /pid)/ns/net" cat /proc/sys/net/mptcp/enabled)"
  shim delete --force "$1"
}
mptcp plain ''
mptcp ours '"swarmcut.algorithm":"lai-yang",'
mptcp kept '"swarmcut.mptcp":"keep",'
shim start c1; echo "start of none: $?"
tail -n 1 /log
`;

describe.skipIf(ROOT === undefined)('the shim with the real runc', () => {
  const base = mkdtempSync(join(tmpdir(), 'swarmcut-shim-'));
  let lines: string[] = [];

  beforeAll(async () => {
    const { stdout } = await execa(
      'unshare',
      [
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        'sh',
        '-c',
        SCRIPT,
        'sh',
        base,
        join(CACHE, ROOT ?? ''),
        PACKAGE,
        CGROUP,
      ],
      { stdin: 'ignore', timeout: 50_000 },
    );
    lines = stdout.split('\n');
  });
  afterAll(() => {
    rmSync(base, { recursive: true, force: true });
    for (const controller of readdirSync('/sys/fs/cgroup')) {
      const folder = join('/sys/fs/cgroup', controller, CGROUP);
      if (existsSync(folder)) rmdirSync(folder);
    }
  });

  it('leads an ordinary container through its life, and does what its marks say', () => {
    expect(lines.slice(0, -1)).toEqual([
      'create: 0 created',
      'start of a restored one: 0 created',
      'start: 0 running',
      'pause: 0 paused',
      'kill while it is here: 0 paused',
      'kill after it has moved: 0',
      'ended: 0 stopped',
      'delete: 0 ',
      'marks: /run/swarmcut/moved/* /run/swarmcut/restored/*',
      'mptcp of plain: 1 1',
      'mptcp of ours: 1 0',
      'mptcp of kept: 1 1',
      'start of none: 1',
    ]);
  });

  it('leaves runc’s error where the engine looks for it', () => {
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 'error', msg: 'container does not exist' });
  });
});
