import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';
import { PRIVATE_DIRECTORY_MODE, PRIVATE_FILE_MODE } from '../../src/platform/files.ts';
import { tryLockFile } from '../../src/platform/libc/flock.ts';
import type { Trust } from '../../src/rpc/identity/identity-files.ts';
import { DEFAULT_AUTHORITY_DAYS, DEFAULT_CERTIFICATE_DAYS, issueForRequest, type CertificateFor } from './authority.ts';
import { issuedCertificates } from './issued.ts';
import { coordinatorIdentityDirectory } from './layout.ts';
import {
  beginRotation,
  endRotation,
  enterDropping,
  enterIssuing,
  issuingAuthority,
  presentTrust,
  readRotation,
  type Rotation,
} from './rotation.ts';

/** The authority on this machine, for operations that change it while the cluster runs (coordinator/operations/certificates). */
export class LocalAuthority {
  readonly identityFolder: string;
  readonly #configDirectory: string;
  readonly #days: { readonly authority: number; readonly certificate: number };

  constructor(configDirectory: string, days: { readonly authority?: number; readonly certificate?: number } = {}) {
    this.#configDirectory = configDirectory;
    this.#days = {
      authority: days.authority ?? DEFAULT_AUTHORITY_DAYS,
      certificate: days.certificate ?? DEFAULT_CERTIFICATE_DAYS,
    };
    this.identityFolder = coordinatorIdentityDirectory(configDirectory);
  }

  /** @throws SwarmcutError `conflict` when another command changes the authority */
  async exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const folder = join(this.#configDirectory, 'ca');
    await mkdir(folder, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
    await using file = await open(join(folder, '.lock'), 'a', PRIVATE_FILE_MODE);
    if (!tryLockFile(file.fd))
      throw new SwarmcutError('conflict', 'another command is at work on the certificate authority', {
        where: { file: folder },
        advice: 'wait for it to end',
      });
    return await work();
  }

  async certificate(): Promise<string> {
    return (await issuingAuthority(this.#configDirectory)).certificatePem;
  }

  rotation(): Promise<Rotation | undefined> {
    return readRotation(this.#configDirectory);
  }

  async begin({ forgetOld }: { readonly forgetOld: boolean }): Promise<Rotation> {
    // Its key must be there: otherwise the old one's certificates could not be replaced.
    await issuingAuthority(this.#configDirectory);
    return beginRotation(this.#configDirectory, { days: this.#days.authority, forgetOld, now: new Date() });
  }

  async enterIssuing(): Promise<Rotation> {
    return enterIssuing(this.#configDirectory, await this.#present());
  }

  async enterDropping(): Promise<Rotation> {
    return enterDropping(this.#configDirectory, await this.#present());
  }

  end(): Promise<void> {
    return endRotation(this.#configDirectory);
  }

  trust(): Promise<Trust> {
    return presentTrust(this.#configDirectory);
  }

  readonly issue = (whom: CertificateFor, request: string): Promise<string> =>
    issueForRequest(this.#configDirectory, whom, request, {
      days: this.#days.certificate,
      now: new Date(),
    });

  async issued(name: string): Promise<readonly string[]> {
    const now = new Date().toISOString();
    const all = await issuedCertificates(this.#configDirectory);
    return all.filter((each) => each.name === name && each.notAfter > now).map(({ serial }) => serial);
  }

  async #present(): Promise<Rotation> {
    const rotation = await readRotation(this.#configDirectory);
    if (rotation === undefined) throw new SwarmcutError('internal', 'no rotation of the authority is under way');
    return rotation;
  }
}
