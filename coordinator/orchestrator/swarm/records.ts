import { createHash } from 'node:crypto';
import Docker from 'dockerode';
import { z } from 'zod';
import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { RecordValue, SharedRecord, SharedRecords } from '../index.ts';
import { engineError } from './engine.ts';
import { configSchema } from './raw.ts';

/** What stands in front of our configs' names. */
const PREFIX = 'swarmcut-';

/** As swarmkit takes them for configs (manager/controlapi, `validateConfigOrSecretAnnotations`). */
const CONFIG_NAME = /^[a-zA-Z0-9]+(?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?$/;
const NAME_LIMIT = 64;

/** An engine that is there answers in milliseconds, but for the moment in which the managers choose a leader. Milliseconds. */
const ANSWER_MS = 5_000;

/** What lies in a config that is there for its labels. Swarm wants something, and never changes it. */
const CONTENTS =
  'Kept by swarmcut: docs/swarm.md, "One coordinator at a time". Not to be removed while a command runs.\n';

/**
 * Records in Swarm's own raft state: the labels of a config object each. A config is exclusive by its name, and updating its labels is a
 * compare-and-swap on its version, which is the raft index of its last change. Nobody ever removes one: `DELETE` knows no version.
 */
export class SwarmRecords implements SharedRecords {
  readonly #docker: Docker;
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
    this.#docker = new Docker({ socketPath });
  }

  async read(name: string): Promise<SharedRecord | undefined> {
    const config = this.#docker.getConfig(configName(name));
    const raw = await this.#ask(`read ${config.id}`, (abortSignal) => config.inspect({ abortSignal }), {
      404: undefined,
    });
    if (raw === undefined) return undefined;
    return recordOf(name, raw);
  }

  async all(prefix: string): Promise<SharedRecord[]> {
    const begins = PREFIX + prefix;
    const filters = JSON.stringify({ name: [begins] });
    const found = await this.#ask(
      'list configs',
      (abortSignal) => this.#docker.listConfigs({ filters, abortSignal }),
      {},
    );
    return z
      .array(z.looseObject({ Spec: z.looseObject({ Name: z.string() }) }))
      .parse(found)
      .filter(({ Spec }) => Spec.Name.startsWith(begins))
      .map((raw) => recordOf(raw.Spec.Name.slice(PREFIX.length), raw));
  }

  async create(name: string, value: RecordValue): Promise<boolean> {
    const spec = { Name: configName(name), Labels: value, Data: Buffer.from(CONTENTS).toString('base64') };
    const made = await this.#ask(
      `make config ${spec.Name}`,
      async (abortSignal) => {
        await this.#docker.createConfig({ _query: {}, _body: spec, abortSignal });
        return true;
      },
      { 409: false },
    );
    return made === true;
  }

  async replace({ name, id, version }: SharedRecord, value: RecordValue): Promise<boolean> {
    const config = this.#docker.getConfig(id) as unknown as { update(options: object): Promise<unknown> };
    const spec = { Name: configName(name), Labels: value, Data: Buffer.from(CONTENTS).toString('base64') };
    const done = await this.#ask(
      `update config ${spec.Name}`,
      async (abortSignal) => {
        await config.update({ _query: { version }, _body: spec, abortSignal });
        return true;
      },
      { 404: false, 'out of sequence': false },
    );
    return done === true;
  }

  /** @param answers that mean something, by the engine's status, or by a part of what it says */
  async #ask<T>(
    what: string,
    call: (signal: AbortSignal) => Promise<T>,
    answers: Readonly<Record<string, T | boolean | undefined>>,
  ): Promise<T | boolean | undefined> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    try {
      return await call(signal);
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      for (const [answer, meaning] of Object.entries(answers))
        if (/^\d+$/.test(answer) ? String(statusCode) === answer : messageOf(error).includes(answer)) return meaning;
      if (signal.aborted)
        throw new SwarmcutError(
          'unreachable',
          `cannot ${what}: the engine does not answer within ${ANSWER_MS / 1000} s`,
          {
            advice: 'is there a majority of the managers? `docker node ls` shows them',
            cause: error,
          },
        );
      throw engineError(this.#socketPath, what, error);
    }
  }
}

function recordOf(name: string, raw: unknown): SharedRecord {
  const parsed = configSchema.safeParse(raw);
  if (!parsed.success)
    throw new SwarmcutError('internal', `the engine's answer is not understood: ${z.prettifyError(parsed.error)}`);
  const { ID: id, Version: version, Spec: spec } = parsed.data;
  return { name, id, version: version.Index, value: spec.Labels ?? {} };
}

/** The name as it is where Swarm takes it; else as much of it as fits, and its hash. Exported for its test. */
export function configName(name: string): string {
  const plain = PREFIX + name;
  if (plain.length <= NAME_LIMIT && CONFIG_NAME.test(plain)) return plain;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${PREFIX}${name.replace(/[^a-zA-Z0-9-_.]/g, '').slice(0, 38)}-${hash}`;
}
