/** As much of PostgreSQL's protocol (version 3) as simple queries need, for a server that trusts everybody. */
import { dial } from '../common/wire.ts';
import type { Wire } from '../common/wire.ts';

const PROTOCOL = 196_608;

/** A session with the server. */
export class Session {
  readonly #wire: Wire;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Says who we are. Once, on a new connection. */
  async begin(user: string, database: string): Promise<this> {
    const words = Buffer.from(`user\0${user}\0database\0${database}\0\0`);
    const head = Buffer.alloc(8);
    head.writeInt32BE(words.length + 8);
    head.writeInt32BE(PROTOCOL, 4);
    this.#wire.send(Buffer.concat([head, words]));
    await this.#answer();
    return this;
  }

  /** Runs one or several statements. @returns all rows. @throws Error with the server's message */
  async query(text: string): Promise<string[][]> {
    const words = Buffer.from(`${text}\0`);
    const head = Buffer.from('Q\0\0\0\0');
    head.writeInt32BE(words.length + 4, 1);
    this.#wire.send(Buffer.concat([head, words]));
    return this.#answer();
  }

  end(): void {
    this.#wire.send(Buffer.from([0x58, 0, 0, 0, 4]));
    this.#wire.end();
  }

  async #answer(): Promise<string[][]> {
    const rows: string[][] = [];
    let failed: string | undefined;
    for (;;) {
      const head = await this.#wire.bytes(5);
      const body = await this.#wire.bytes(head.readInt32BE(1) - 4);
      const kind = head.toString('latin1', 0, 1);
      if (kind === 'D') rows.push(row(body));
      if (kind === 'E') {
        failed = body.toString('utf8').replaceAll('\0', ' ');
        // Nothing comes after a FATAL.
        if (failed.includes('FATAL')) throw new Error(failed);
      }
      if (kind === 'Z') {
        if (failed !== undefined) throw new Error(failed);
        return rows;
      }
    }
  }
}

function row(body: Buffer): string[] {
  const fields: string[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    fields.push(length < 0 ? 'NULL' : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return fields;
}

/** Connects, and begins. */
export async function open(host: string, port: number, database: string): Promise<Session> {
  return new Session(await dial(host, port)).begin('postgres', database);
}
