/** As much of MariaDB's protocol as text queries of a user without a password need. */
import { dial } from '../common/wire.ts';
import type { Wire } from '../common/wire.ts';

// CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_CONNECT_WITH_DB, CLIENT_PLUGIN_AUTH, CLIENT_TRANSACTIONS
const CAPABILITIES = 0x200 | 0x8000 | 0x8 | 0x80000 | 0x2000;
const UTF8 = 45;
const QUERY = 3;
const QUIT = 1;

/** A session with the server. */
export class Session {
  readonly #wire: Wire;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Reads the greeting and says who we are. Once, on a new connection. @throws Error with the server's message */
  async begin(user: string, database: string): Promise<this> {
    const { body, sequence } = await this.#packet();
    if (body[0] === 0xff) throw new Error(message(body));
    const head = Buffer.alloc(32);
    head.writeUInt32LE(CAPABILITIES);
    head.writeUInt32LE(1 << 24, 4);
    head[8] = UTF8;
    const words = Buffer.from(`${user}\0\0${database}\0mysql_native_password\0`);
    this.#send(sequence + 1, Buffer.concat([head, words]));
    const answer = await this.#packet();
    if (answer.body[0] === 0xfe) this.#send(answer.sequence + 1, Buffer.alloc(0));
    const last = answer.body[0] === 0xfe ? (await this.#packet()).body : answer.body;
    if (last[0] !== 0) throw new Error(message(last));
    return this;
  }

  /** Runs one statement. @returns its rows. @throws Error with the server's message */
  async query(text: string): Promise<string[][]> {
    this.#send(0, Buffer.concat([Buffer.from([QUERY]), Buffer.from(text)]));
    const first = (await this.#packet()).body;
    if (first[0] === 0xff) throw new Error(message(first));
    if (first[0] === 0) return [];
    for (let left = first[0] ?? 0; left > 0; left--) await this.#packet();
    await this.#packet();
    const rows: string[][] = [];
    for (;;) {
      const { body } = await this.#packet();
      if (body[0] === 0xff) throw new Error(message(body));
      if (body[0] === 0xfe && body.length < 9) return rows;
      rows.push(row(body));
    }
  }

  end(): void {
    this.#send(0, Buffer.from([QUIT]));
    this.#wire.end();
  }

  #send(sequence: number, body: Buffer): void {
    const head = Buffer.alloc(4);
    head.writeUIntLE(body.length, 0, 3);
    head[3] = sequence;
    this.#wire.send(Buffer.concat([head, body]));
  }

  async #packet(): Promise<{ body: Buffer; sequence: number }> {
    const head = await this.#wire.bytes(4);
    return { body: await this.#wire.bytes(head.readUIntLE(0, 3)), sequence: head[3] ?? 0 };
  }
}

function message(body: Buffer): string {
  return body.toString('utf8', 3);
}

/** Fields of less than 251 bytes. */
function row(body: Buffer): string[] {
  const fields: string[] = [];
  for (let at = 0; at < body.length;) {
    const length = body[at] ?? 0;
    at += 1;
    if (length === 251) fields.push('NULL');
    else {
      fields.push(body.toString('utf8', at, at + length));
      at += length;
    }
  }
  return fields;
}

/** Connects, and begins. */
export async function open(host: string, port: number, database: string): Promise<Session> {
  return new Session(await dial(host, port)).begin('root', database);
}
