// Runs on a host of the test bed: prints, as a JSON list of lines, what swarmcut has left there that no running operation, task or snapshot accounts for.
// What it looks for, and what is no leftover, says ../leftovers.ts.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';

const RUN = '/run/swarmcut';
const STATE = '/var/lib/swarmcut';
const found = [];

const names = (dir) => (existsSync(dir) ? readdirSync(dir) : []);
const read = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
const link = (file) => {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
};
const output = (...[program, ...args]) => {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
};
const json = (file) => {
  try {
    return JSON.parse(read(file));
  } catch {
    return undefined;
  }
};
const files = (dir) => {
  try {
    return readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
};

/** The engine's containers, by id: pid (0: not running), sandbox, root file system. */
const ids = output('docker', 'ps', '-aq', '--no-trunc').split('\n').filter(Boolean);
const format = '{{.Id}} {{.State.Pid}} {{.NetworkSettings.SandboxKey}} {{.GraphDriver.Data.MergedDir}}';
const containers = new Map(
  (ids.length === 0 ? '' : output('docker', 'inspect', '-f', format, ...ids))
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' '))
    .map(([id, pid, sandbox = '', merged = '']) => [id, { pid: Number(pid), sandbox, merged }]),
);
const runs = (id) => (containers.get(id)?.pid ?? 0) > 0;
const running = [...containers].filter(([, { pid }]) => pid > 0);

if (process.argv[2] === 'harm') {
  for (const [id, { pid }] of running) if (!isDecided(id)) harmIn(id, pid);
} else {
  runFiles();
  stateFiles();
  processes();
  mounts();
  namespaces();
  for (const [id, { pid }] of running) {
    harmIn(id, pid);
    tracesIn(id, pid);
  }
}
process.stdout.write(JSON.stringify(found));

function runFiles() {
  for (const folder of ['journal', 'released-later', 'expect', 'still'])
    for (const name of names(path.join(RUN, folder))) found.push(`file ${RUN}/${folder}/${name}`);
  for (const folder of ['stage', 'restore', 'parts'])
    for (const file of files(path.join(RUN, folder))) found.push(`file ${file}`);
  for (const folder of ['stage', 'restore']) {
    for (const name of names(path.join(RUN, folder))) {
      if (files(path.join(RUN, folder, name)).length === 0) found.push(`directory ${RUN}/${folder}/${name}`);
    }
  }
  for (const folder of ['restored', 'moved', 'network'])
    for (const name of names(path.join(RUN, folder)))
      if (!containers.has(path.basename(name, '.json'))) found.push(`file ${RUN}/${folder}/${name} of no container`);
  for (const name of names(path.join(RUN, 'deadman'))) {
    // The log of one that has fired tells people what has happened, for as long as there is the container.
    if (name.endsWith('.log') && containers.has(path.basename(name, '.log'))) continue;
    if (endsByItself(name)) continue;
    found.push(`dead man's switch ${name}`);
  }
  for (const name of names(path.join(RUN, 'sidecars')))
    if (/^[0-9a-f]{64}$/.test(name) && !runs(name))
      found.push(`directory ${RUN}/sidecars/${name} of no running container`);
  for (const name of names(path.join(RUN, 'locks')))
    if (read(path.join(RUN, 'locks', name)) !== '')
      found.push(`lock ${name} is held: ${read(path.join(RUN, 'locks', name)).trim()}`);
  for (const file of files(RUN)) if (/\.(new|tmp)$/.test(file)) found.push(`half-written file ${file}`);
}

/** That of a task that has moved and has been ended: it sleeps to its end, which is a minute later, and finds nothing to do. */
function endsByItself(name) {
  const [, id = ''] = /^([0-9a-f]{64})-moved\./.exec(name) ?? [];
  return id !== '' && !runs(id) && (json(path.join(RUN, 'deadman', name))?.firesAtMs ?? 0) > Date.now();
}

function stateFiles() {
  for (const folder of ['stage', 'restore', 'replacements'])
    for (const name of names(path.join(STATE, folder))) found.push(`file ${STATE}/${folder}/${name}`);
  const needed = new Set();
  for (const name of names(path.join(STATE, 'snapshots'))) {
    const file = path.join(STATE, 'snapshots', name);
    if (name.endsWith('.damaged')) found.push(`damaged ledger ${file}`);
    else if (name.endsWith('.json')) {
      const ledger = json(file);
      if (ledger === undefined) found.push(`ledger ${file} cannot be read`);
      else if (ledger.state !== 'permanent') found.push(`ledger ${file} is ${ledger.state}`);
      for (const { parts } of Object.values(ledger?.tasks ?? {})) for (const { sha256 } of parts) needed.add(sha256);
    } else if (statSync(file).isDirectory() && !existsSync(path.join(file, 'manifest.json')))
      found.push(`directory ${file} without a manifest`);
  }
  for (const file of files(path.join(STATE, 'parts')))
    if (!needed.has(path.basename(file))) found.push(`part ${file} that no ledger names`);
  for (const file of files(STATE))
    if (/\.(new|tmp)$/.test(file) && !file.startsWith(`${STATE}/parts/`)) found.push(`half-written file ${file}`);
}

function processes() {
  for (const pid of names('/proc').filter((name) => /^\d+$/.test(name))) {
    const words = read(`/proc/${pid}/cmdline`).split('\0');
    const command = words.join(' ').trim();
    const [program = ''] = words;
    const says = (text) => found.push(`process ${pid}, ${text}: ${command.slice(0, 160)}`);
    if (command === '' || Number(pid) === process.pid) continue;
    // Those of containers are not ours.
    if (link(`/proc/${pid}/ns/pid`) !== link('/proc/self/ns/pid')) continue;
    if (words.includes('swarmcut-deadman')) {
      const record = words.find((word) => word.startsWith(`${RUN}/deadman/`));
      if (record === undefined || !endsByItself(`${path.basename(record)}.${pid}.json`)) says("a dead man's switch");
    } else if (command.includes('agent/main.js shim') || program.endsWith('/shim.sh') || words[1]?.endsWith('/shim.sh'))
      says('a shim that waits');
    else if (words.includes('resume-after')) says('a guardian');
    else if (command.includes('coordinator/main.js')) says('a coordinator');
    else if (/^(criu|runc|tar)$/.test(path.basename(program))) says(`a ${path.basename(program)}`);
    else if (command.includes('agent/sidecar/main.js')) {
      const namespace = link(`/proc/${pid}/ns/net`);
      const owner = running.find(([, task]) => link(`/proc/${task.pid}/ns/net`) === namespace);
      if (owner === undefined) says('a sidecar of no running task');
    } else if (path.basename(program).startsWith('containerd-shim')) {
      const id = words[words.indexOf('-id') + 1] ?? '';
      if (!runs(id)) says('the shim of a container that does not run');
    }
  }
}

function mounts() {
  // An engine that was killed leaves those of the containers that ended with it mounted until it deletes them.
  const merged = new Set([...containers.values()].map((task) => task.merged));
  for (const line of read('/proc/self/mountinfo').split('\n')) {
    const point = line.split(' ')[4] ?? '';
    if (point.startsWith(`${RUN}/`) || point.startsWith(`${STATE}/`)) found.push(`mount ${point}`);
    if (/^\/var\/lib\/docker\/overlay2\/.*\/merged$/.test(point) && !merged.has(point))
      found.push(`mount ${point} of no container`);
  }
}

function namespaces() {
  const sandboxes = new Set(running.map(([, task]) => path.basename(task.sandbox)));
  // Others are the engine's own, of networks.
  // The engine removes the file of one that it has left up to a minute later: only one that is mounted is there.
  for (const line of read('/proc/self/mountinfo').split('\n')) {
    const point = line.split(' ')[4] ?? '';
    const name = path.basename(point);
    if (path.dirname(point).endsWith('/docker/netns') && /^[0-9a-f]{12}$/.test(name) && !sandboxes.has(name))
      found.push(`network namespace ${name} of no running container`);
  }
  for (const table of output('nft', 'list', 'tables').split('\n'))
    if (table.includes('swarmcut')) found.push(`${table} in the node's own network namespace`);
}

/** An old task that has moved stands still until the engine ends it. */
function isDecided(id) {
  return / decided/.test(read(path.join(RUN, 'still', id)).split('\n')[0]);
}

function inside(pid, ...command) {
  return output('nsenter', `--net=/proc/${pid}/ns/net`, ...command);
}

function harmIn(id, pid) {
  const task = id.slice(0, 12);
  if (frozen(pid)) found.push(`container ${task} is frozen`);
  for (const set of ['blocked_out', 'blocked_in'])
    if (inside(pid, 'nft', 'list', 'set', 'inet', 'swarmcut', set).includes('elements'))
      found.push(`container ${task}: something is in set ${set}`);
}

function tracesIn(id, pid) {
  const task = id.slice(0, 12);
  const rules = inside(pid, 'nft', 'list', 'ruleset');
  for (const [chain] of rules.matchAll(/chain (block_out|block_in|colour_in|colour_out)/g))
    found.push(`container ${task}: ${chain}`);
  if (/set coming \{[^}]*elements/.test(rules)) found.push(`container ${task}: something is in set coming`);
  for (const line of inside(pid, 'ip', 'route').split('\n'))
    if (line.includes('rto_min')) found.push(`container ${task}: route ${line.trim()}`);
}

function frozen(pid) {
  const groups = read(`/proc/${pid}/cgroup`).split('\n');
  const v1 = groups.map((line) => /^\d+:freezer:(.*)$/.exec(line)?.[1]).find((group) => group !== undefined);
  if (v1 !== undefined) return read(`/sys/fs/cgroup/freezer${v1}/freezer.state`).trim() !== 'THAWED';
  const v2 = groups.map((line) => /^0::(.*)$/.exec(line)?.[1]).find((group) => group !== undefined);
  return v2 !== undefined && read(`/sys/fs/cgroup${v2}/cgroup.events`).includes('frozen 1');
}
