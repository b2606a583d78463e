/** What must not happen in a soak. */
export class SoakFailure extends Error {
  override readonly name: string = 'SoakFailure';
}

/** State was lost: the checker is not content, or tasks are not there. */
export class Lost extends SoakFailure {
  override readonly name = 'Lost';
}

/** Something is still frozen, blocked, unfinished or unreachable long after an operation. */
export class Stuck extends SoakFailure {
  override readonly name = 'Stuck';
}

/** An operation failed with nothing to cause it, or with an error that docs/cli.md does not announce for it. */
export class Unexpected extends SoakFailure {
  override readonly name = 'Unexpected';
}
