/** The checker's side door of a branch: one JSON request per line, one JSON answer per line. */
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { createInterface } from 'node:readline';
import type { BranchReport, ControlOp } from './report.ts';

/** What the control port needs of the branch. */
export interface Controlled {
  /** Called when the first checker asks for a pause, and when the last one has gone. */
  setPaused(paused: boolean): void;
  report(withFiles: boolean): BranchReport;
  /** Starts the worst gap anew. */
  resetGap(): void;
}

/**
 * Serves the control protocol. A pause belongs to the connection that asked for it: when the checker goes, for whatever
 * reason, the branch works on. So no time limit is needed, which a jump of the clock at a restore could upset.
 */
export function serveControl(branch: Controlled, port: number, host: string): Server {
  const pausers = new Set<object>();
  const update = (): void => branch.setPaused(pausers.size > 0);
  const server = createServer((socket) => {
    const lines = createInterface({ input: socket });
    lines.on('line', (line) => {
      socket.write(`${JSON.stringify({ ...answer(line), address: socket.localAddress })}\n`);
    });
    // readline passes the stream's errors on; the close below does what is to be done.
    lines.on('error', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      pausers.delete(socket);
      update();
    });

    function answer(line: string): BranchReport | { error: string } {
      switch (operation(line)) {
        case 'pause':
          pausers.add(socket);
          break;
        case 'resume':
          pausers.delete(socket);
          break;
        case 'report':
          return branch.report(true);
        case 'reset-gap':
          branch.resetGap();
          return branch.report(false);
        case 'status':
          return branch.report(false);
        case undefined:
          return { error: `unknown request "${line.slice(0, 80)}": use {"op":"status|pause|report|resume|reset-gap"}` };
      }
      update();
      return branch.report(false);
    }
  });
  server.on('error', (error) => {
    throw error;
  });
  return server.listen(port, host);
}

function operation(line: string): ControlOp | undefined {
  try {
    const { op } = JSON.parse(line) as { op?: unknown };
    return (['status', 'pause', 'report', 'resume', 'reset-gap'] as const).find((known) => known === op);
  } catch {
    return undefined;
  }
}
