import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { JsonPeer } from '../../../src/rpc/control/json-peer.ts';
import { answering } from '../../../src/rpc/control/method.ts';
import { SIDECAR_METHODS, type TaskMethods } from '../../../src/rpc/control/methods.ts';
import { remoteHost, sidecarHandlers, type Controlled } from './handlers.ts';

/** Listens on a Unix socket that only root can open. @param path is replaced @param ready called when it listens */
export function serveControl(path: string, controlled: Controlled, ready: () => void): void {
  rmSync(path, { force: true });
  const mask = process.umask(0o177);
  createServer((socket) => serveOne(socket, controlled)).listen(path, () => {
    process.umask(mask);
    chmodSync(path, 0o600);
    ready();
  });
}

/** Whoever prepares a round does the work for it; when it goes, the round is given up. */
function serveOne(socket: Socket, controlled: Controlled): void {
  const { rounds } = controlled.sidecar;
  let hosting = false;
  // Nothing is asked before something has come.
  const host = remoteHost({ call: (method, ...params) => peer.call(method, ...params) });
  const handlers = sidecarHandlers(controlled, host);
  const peer: JsonPeer<TaskMethods> = new JsonPeer<TaskMethods>(
    socket,
    answering(SIDECAR_METHODS, {
      ...handlers,
      prepare: (params) => {
        hosting = true;
        return handlers.prepare(params);
      },
    }),
    () => {
      if (hosting) void rounds.abort('the agent is gone').then(() => rounds.finish());
    },
  );
}
