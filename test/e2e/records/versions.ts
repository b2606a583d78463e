import { execOn } from '../../../examples/testbed/index.ts';

/** Versions of what takes part on a bed besides ourselves. */
export async function versionsOn(bed: string): Promise<Record<string, string>> {
  const ask = async (...argv: string[]): Promise<string> => {
    const { stdout } = await execOn({ name: bed }, 'n1', argv);
    return stdout.split('\n')[0]?.replace(/^\D*/, '') ?? '';
  };
  return {
    Linux: await ask('uname', '-r'),
    Docker: await ask('docker', 'version', '--format', '{{.Server.Version}}'),
    runc: await ask('runc', '--version'),
    CRIU: await ask('criu', '--version'),
  };
}

/** For people. */
export function versionsText(versions: Readonly<Record<string, string>>): string {
  return `With ${Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}.`;
}
