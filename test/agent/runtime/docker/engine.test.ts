import { createServer } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { engineAt } from '../../../../agent/runtime/docker/engine.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'engine-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** @param answer undefined: hangs up */
async function engine(answer?: { status: number; body: object }): Promise<Disposable & { path: string }> {
  const path = join(folder, 'docker.sock');
  const server = createServer((request, response) => {
    if (answer === undefined) request.socket.destroy();
    else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
  }).listen(path);
  await once(server, 'listening');
  return { path, [Symbol.dispose]: () => void server.close() };
}

it('an engine that is not there is told as that, whatever it was to be asked', async () => {
  const there = engineAt(join(folder, 'none'));
  const away = { code: 'unreachable', message: expect.stringMatching(/engine does not answer.*ENOENT/) as string };
  await expect(there.listContainers()).rejects.toMatchObject(away);
  await expect(there.getNetwork('n').inspect()).rejects.toMatchObject(away);
});

it('so is one that ends meanwhile', async () => {
  using ending = await engine();
  await expect(engineAt(ending.path).getNetwork('n').inspect()).rejects.toMatchObject({ code: 'unreachable' });
});

it('what it answers is as dockerode has it', async () => {
  using refusing = await engine({ status: 404, body: { message: 'no such network' } });
  await expect(engineAt(refusing.path).getNetwork('n').inspect()).rejects.toMatchObject({ statusCode: 404 });
});

it('and so is what it says', async () => {
  using answering = await engine({ status: 200, body: [] });
  expect(await engineAt(answering.path).listContainers()).toEqual([]);
});
