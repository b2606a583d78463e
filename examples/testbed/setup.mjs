// Everything between a fresh clone and a machine on which `npm run demo` and `npm test` work: Debian packages, npm packages, the
// build, the test bed's cached root file system. Plain Node without packages, since it runs before there are any.
// Quick when all of it is there.
//
// An old Node will do to start it: once the npm packages are there, one of which is the Node that the project runs on, it starts
// itself again with that one.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const project = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
/** For this file alone; what the rest needs is in package.json ("engines"), and comes with the packages. */
const NODE_MAJOR_MIN = 20;

/** The project's Node: comes before the machine's in npm's scripts, since node_modules/.bin does. */
const NODE = path.join(project, 'node_modules/.bin/node');

/** What the machine itself must have, by something that the Debian package brings. */
const PACKAGES = {
  debootstrap: ['/usr/sbin/debootstrap'],
  'debian-archive-keyring': ['/usr/share/keyrings/debian-archive-keyring.gpg'],
  'ca-certificates': ['/usr/sbin/update-ca-certificates'],
  nftables: ['/usr/sbin/nft', '/sbin/nft'],
  iproute2: ['/usr/bin/ip', '/usr/sbin/ip', '/sbin/ip', '/bin/ip'],
  'util-linux': ['/usr/bin/nsenter', '/usr/bin/unshare', '/usr/bin/flock', '/usr/bin/setpriv'],
  tar: ['/usr/bin/tar', '/bin/tar'],
  kmod: ['/usr/sbin/modprobe', '/sbin/modprobe'],
  // For criu/limits.c, which only such machines need.
  ...(lacksResourceCapability() ? { gcc: ['/usr/bin/gcc'] } : {}),
};

/** CAP_SYS_RESOURCE has number 24 (linux/capability.h). */
function lacksResourceCapability() {
  if (process.platform !== 'linux') return false;
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 0n;
}

const startMs = performance.now();
const logDir = mkdtempSync(path.join(tmpdir(), 'swarmcut-setup-'));
const log = path.join(logDir, 'setup.log');

function say(text) {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1).padStart(5);
  process.stdout.write(`[${seconds} s] ${text}\n`);
}

function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/** Runs a command with its output in the log, and says something every ten seconds while it lasts. */
async function run(what, command, args, options = {}) {
  say(what);
  const output = openSync(log, 'a');
  const child = spawn(command, args, { cwd: project, stdio: ['ignore', output, output], ...options });
  closeSync(output);
  const beginMs = performance.now();
  const sign = setInterval(() => {
    say(`  still at it after ${Math.round((performance.now() - beginMs) / 1000)} s`);
  }, 10_000);
  const code = await new Promise((resolve) => {
    child.once('exit', (exitCode) => resolve(exitCode ?? 1));
    child.once('error', () => resolve(127));
  });
  clearInterval(sign);
  return code;
}

async function mustRun(what, command, args, options) {
  const code = await run(what, command, args, options);
  if (code === 0) return;
  const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15).join('\n  ');
  fail(`failed: ${command} ${args.join(' ')} (exit code ${code}). Its last lines, all of it in ${log}:\n  ${tail}`);
}

function checkMachine() {
  const major = Number(process.versions.node.split('.')[0]);
  const problem =
    process.platform !== 'linux'
      ? `this is ${process.platform}`
      : process.getuid() !== 0
        ? 'you are not root (try sudo)'
        : major < NODE_MAJOR_MIN
          ? `this is Node ${process.versions.node}`
          : undefined;
  if (problem === undefined) return;
  rmSync(logDir, { recursive: true });
  fail(
    `The demo and the tests run a real Docker Swarm in namespaces of this machine: they need Linux, root and Node ${NODE_MAJOR_MIN} or later, but ${problem}.`,
  );
}

async function installDebianPackages() {
  const missing = Object.entries(PACKAGES)
    .filter(([, files]) => {
      // Alternatives of one program count once; util-linux must have all of its programs.
      const programs = new Set(files.map((file) => path.basename(file)));
      return ![...programs].every((name) => files.some((file) => path.basename(file) === name && existsSync(file)));
    })
    .map(([name]) => name);
  if (missing.length === 0) return;
  if (!existsSync('/usr/bin/apt-get')) {
    fail(`Please install these (this machine has no apt-get, so setup cannot): ${missing.join(' ')}`);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = [
    'apt-get',
    ['install', '-q', '-y', '-o', 'Dpkg::Use-Pty=0', '--no-install-recommends', ...missing],
    { env },
  ];
  // Package lists may be missing or old; that costs a while, so it is only done when it must be.
  if ((await run(`installing Debian packages: ${missing.join(' ')}`, ...install)) === 0) return;
  await mustRun('updating the package lists', 'apt-get', ['update', '-q'], { env });
  await mustRun(`installing Debian packages: ${missing.join(' ')}`, ...install);
}

async function installNpmPackages() {
  const installed = path.join(project, 'node_modules/.package-lock.json');
  const lock = path.join(project, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  await mustRun('installing npm packages (npm ci)', 'npm', ['ci', '--no-audit', '--no-fund']);
}

/** Goes on under the project's Node: the test bed must not run on one that the product refuses. */
function continueUnderOwnNode() {
  if (!existsSync(NODE)) {
    fail(
      `there is no ${NODE}: npm left out the optional packages, or has no Node for ${process.platform} on ${process.arch}`,
    );
  }
  if (realpathSync(process.execPath) === realpathSync(NODE)) return;
  rmSync(logDir, { recursive: true, force: true });
  const { status } = spawnSync(NODE, process.argv.slice(1), { stdio: 'inherit' });
  process.exit(status ?? 1);
}

checkMachine();
await installDebianPackages();
await installNpmPackages();
continueUnderOwnNode();
await mustRun('building (tsc)', 'npm', ['run', '--silent', 'build']);
const { prepare } = await import(path.join(project, 'dist/examples/testbed/index.js'));
say("looking for the test bed's root file system and image in the cache");
try {
  await prepare((progress) => say(progress.message));
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
rmSync(logDir, { recursive: true, force: true });
say('all is set up');
