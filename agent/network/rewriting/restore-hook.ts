import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NetworkPlan } from '../../../src/model/plans/network-plan.ts';
import { ROUTE_TABLE, RULE_LINES, rewriteSysctlScript } from './addresses.ts';
import { boundScript } from './bound-rules.ts';
import { formerScript } from './former-rules.ts';
import { rewriteScript } from './rewrite-rules.ts';
import { familyOf } from '../../linux/addresses.ts';
import { comingNamesScript } from '../coming-names.ts';
import { blockScript } from '../rules.ts';

/** What the hook needs of a plan. */
export type HookPlan = Pick<NetworkPlan, 'ownAddresses' | 'rewrites' | 'close'> &
  Partial<Pick<NetworkPlan, 'former' | 'bound'>>;

export interface RestoreHookOptions {
  readonly plan: HookPlan;
  /** The task gets a sidecar, which carries its TCP. */
  readonly proxied?: boolean;
  /** Settings of its network namespace, by path below `/proc/sys`. Default: the kernel's. */
  readonly sysctls?: ReadonlyMap<string, string>;
  /** Files of this node that get other contents, after the engine has written them for the last time. */
  readonly files?: readonly { readonly file: string; readonly contents: Buffer }[];
  /** The container stays blocked until `unblock` or for this long. Milliseconds. */
  readonly blockTimeoutMs: number;
  /** Where script, rules and log go; made if need be. One directory for each container. */
  readonly dir: string;
}

/**
 * Writes the OCI prestart hook of a container that is about to be restored, and returns the path of the script.
 *
 * runc runs it when the engine has put the interfaces into the new network namespace and before CRIU makes the sockets. It blocks
 * the namespace, puts the old addresses in place and sets up rewriting; `KernelInterceptor.unblock` then lets the container go. A hook
 * rather than the agent does it because only runc knows the moment; a POSIX shell rather than node because it counts as downtime.
 * What goes wrong stands in `hook.log` in `dir`, and makes the hook (and so the restore) fail.
 */
export async function restoreHook(options: RestoreHookOptions): Promise<string> {
  const { plan, dir, sysctls = new Map<string, string>(), files = [] } = options;
  const { former = [], bound = [] } = plan;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const script = join(dir, 'hook.sh');
  const { blockTimeoutMs } = options;
  const rules =
    blockScript(blockTimeoutMs) +
    comingNamesScript(blockTimeoutMs) +
    (plan.rewrites.length > 0 ? rewriteScript(plan.rewrites) : '');
  await Promise.all([
    writeFile(join(dir, 'rules.nft'), rules),
    writeFile(
      join(dir, 'former.nft'),
      formerScript(former, options.proxied === true) + (bound.length > 0 ? boundScript(bound) : ''),
    ),
    writeFile(join(dir, 'inside.sh'), insideScript(plan, sysctls.size > 0)),
    writeFile(join(dir, 'sysctls'), [...sysctls].map(([path, value]) => `${path} ${value}\n`).join('')),
    ...files.map(({ contents }, index) => writeFile(join(dir, `file-${index}`), contents)),
    writeFile(
      script,
      outerScript(
        dir,
        files.map(({ file }) => file),
      ),
      { mode: 0o700 },
    ),
  ]);
  return script;
}

/** Finds the container's process in the state that runc gives on stdin (OCI runtime specification, "State"). */
function outerScript(dir: string, files: readonly string[]): string {
  return `#!/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
cd ${quoted(dir)} || exit 1
exec 2>hook.log
${files.map((file, index) => `cat file-${index} >${quoted(file)} || exit 1\n`).join('')}\
state=
while IFS= read -r line || [ -n "$line" ]; do state="$state$line"; done
pid=\${state#*\\"pid\\":}
while [ "\${pid# }" != "$pid" ]; do pid=\${pid# }; done
pid=\${pid%%[!0-9]*}
if [ "$pid" = "" ]; then echo "no pid in the container's state: $state" >&2; exit 1; fi
exec nsenter --net="/proc/$pid/ns/net" sh ./inside.sh
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Some settings depend on others (ip_local_port_range): what is refused at first is tried again. What this kernel does not have is told, and lost. */
const SYSCTL_LINES = `set_all() {
  while IFS=' ' read -r path value; do
    printf '%s\\n' "$value" 2>/dev/null >"/proc/sys/$path" || $1 "$path = $value" >&2
  done <sysctls
}
set_all : && set_all 'echo cannot set'
`;

/** Runs in the container's network namespace, in the hook's directory. @param withSysctls there are settings in the file `sysctls` there */
export function insideScript(plan: HookPlan, withSysctls = false): string {
  return `set -eu
# The block comes first: nothing may answer, or be answered, before all is in place.
nft -f rules.nft
${withSysctls ? SYSCTL_LINES : ''}\
${(plan.former ?? []).length + (plan.bound ?? []).length > 0 ? '# A courtesy, without which the container can do.\nnft -f former.nft || true\n' : ''}\
${plan.rewrites.length + plan.ownAddresses.length > 0 ? rewriteSysctlScript(plan.rewrites) : ''}addresses=$(ip -o address show)
ip link set lo up
# own ADDRESS BITS [OPTION]: an address of the time of the checkpoint, unless the engine has given it to the container again.
own() {
  case "$addresses" in *" $1/"*) return 0 ;; esac
  echo "address add $1/$2 dev lo \${3-}"
  case $2 in 32) echo "route del local $1 dev lo table local" ;; esac
  echo "route add local $1 dev lo table ${ROUTE_TABLE}"
}
# unlocal6 ADDRESS: takes an IPv6 address out of table local, where the kernel puts it a moment later.
unlocal6() {
  case "$addresses" in *" $1/"*) return 0 ;; esac
  tries=0
  until ip -6 route del local "$1" dev lo table local 2> /dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -ge 500 ]; then echo "$1 has not come into table local" >&2; exit 1; fi
    sleep 0.01
  done
}
# via "REMOTE ADDRESS": a route to REMOTE through the interface that has ADDRESS, or just any.
via() {
  out=lo
  while read -r _ dev _ address _; do
    case "$address" in "\${1#* }"/*) out=$dev ;; esac
  done <<END
$addresses
END
  echo "route add \${1% *} dev $out"
}
${[4, 6].map((family) => familyPart(plan, family)).join('')}`;
}

function familyPart(plan: HookPlan, family: number): string {
  const own = plan.ownAddresses.filter((address) => familyOf(address) === family);
  const remotes = remotesOf(plan).filter(({ remote }) => familyOf(remote) === family);
  const lines: string[] = [];
  if (own.length > 0) {
    // Without a route of its own, which would lead new connections to whoever has the address now to `lo`.
    const size = family === 4 ? '32' : '128 "nodad noprefixroute"';
    lines.push('{', ...RULE_LINES.map((line) => `echo "${line}"`), ...own.map((address) => `own ${address} ${size}`));
    lines.push(`} > batch${family}`, `ip -${family} -batch batch${family}`);
    if (family === 6) lines.push(...own.map((address) => `unlocal6 ${address}`));
  }
  if (remotes.length > 0) {
    // CRIU connects its sockets in repair mode: nothing is sent, but a route is looked up. Usually there is a default route.
    lines.push(
      `if [ "$(ip -${family} route show default)" = "" ]; then`,
      `set -- ${remotes.map(({ remote, from }) => `'${remote} ${from}'`).join(' ')}`,
      `for pair; do echo "route get \${pair% *}"; done > remotes${family}`,
      `ip -${family} -force -batch remotes${family} > /dev/null 2> missing${family} || true`,
      'while read -r line; do',
      `case "$line" in "Command failed remotes${family}:"*) eval "via \\"\\\${\${line##*:}}\\"" ;; esac`,
      `done < missing${family} > routes${family}`,
      `ip -${family} -batch routes${family}`,
      'fi',
    );
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** The distinct remote addresses of the sockets, each with the address of ours under which it is reached on the wire (if it is). */
function remotesOf(plan: HookPlan): { remote: string; from: string }[] {
  const from = new Map<string, string>();
  for (const { address, from: own } of plan.former ?? []) from.set(address, own);
  for (const { remote } of plan.close) from.set(remote.address, '');
  for (const { socketRemote, wireLocal } of plan.rewrites) from.set(socketRemote.address, wireLocal.address);
  return [...from].map(([remote, address]) => ({ remote, from: address }));
}
