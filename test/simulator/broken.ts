import { ChandyLamportParticipant } from '../../src/algorithms/coordinated/chandy-lamport.ts';
import type {
  Algorithm,
  Participant,
  ParticipantEffect,
  ParticipantInput,
  ParticipantOptions,
} from '../../src/algorithms/contract.ts';
import { kooToueg, type MinimalAlgorithm } from '../../src/algorithms/coordinated/koo-toueg.ts';
import { KernelParticipant } from '../../src/algorithms/coordinated/kernel-participant.ts';
import { TwoPhaseRound } from '../../src/algorithms/coordinated/two-phase-round.ts';

/** A participant whose effects are changed on the way: the mistakes that the checkers must find. */
function changed(
  inner: Participant,
  change: (effects: readonly ParticipantEffect[], input: ParticipantInput) => readonly ParticipantEffect[],
): Participant {
  return {
    step: (input) => change(inner.step(input), input),
    get busy() {
      return inner.busy;
    },
  };
}

function algorithm(
  name: string,
  interceptor: Algorithm['interceptor'],
  participant: (options: ParticipantOptions) => Participant,
): Algorithm {
  return { name, interceptor, participant, round: (options) => new TwoPhaseRound(options, { releaseTogether: false }) };
}

/** Chandy-Lamport whose markers leave only after the process runs again. */
export const markersLate = algorithm('chandy-lamport-markers-late', 'proxy', (options) => {
  let kept: ParticipantEffect[] = [];
  return changed(new ChandyLamportParticipant(options), (effects) => {
    kept.push(...effects.filter(({ kind }) => kind === 'send-marker'));
    const others = effects.filter(({ kind }) => kind !== 'send-marker');
    const thaw = others.findIndex(({ kind }) => kind === 'thaw');
    if (thaw < 0) return others;
    const late = kept;
    kept = [];
    return [...others.slice(0, thaw + 1), ...late, ...others.slice(thaw + 1)];
  });
});

/** Chandy-Lamport that ends every recording as soon as the process is saved. */
export const recordingStopsEarly = algorithm('chandy-lamport-recording-stops-early', 'proxy', (options) => {
  const inner = new ChandyLamportParticipant(options);
  return changed(inner, (effects, input) =>
    input.kind !== 'saved'
      ? effects
      : [
          ...inner.awaited.map((channel): ParticipantEffect => ({
            kind: 'stop-recording',
            channel,
            epoch: options.epoch + 1,
          })),
          ...effects,
        ],
  );
});

/** Lai-Yang that unblocks and thaws first and changes its colour afterwards: what the first prototype did. */
export const colourAfterThaw = algorithm('lai-yang-colour-after-thaw', 'kernel', (options) =>
  changed(new KernelParticipant(options, { waitsForRelease: false }), (effects) => {
    const advance = effects.find(({ kind }) => kind === 'advance');
    if (advance === undefined) return effects;
    return effects.flatMap((effect): ParticipantEffect[] => {
      if (effect.kind === 'advance') return [{ kind: 'unblock' }];
      return effect.kind === 'thaw' ? [effect, advance] : [effect];
    });
  }),
);

/** Freezes before it blocks: packets are taken and acknowledged after the cut. */
export const saveBeforeBlock = algorithm('lai-yang-save-before-block', 'kernel', (options) =>
  changed(new KernelParticipant(options, { waitsForRelease: false }), (effects) =>
    effects.some(({ kind }) => kind === 'save')
      ? [...effects.filter(({ kind }) => kind === 'save'), ...effects.filter(({ kind }) => kind !== 'save')]
      : effects,
  ),
);

/** Never thaws after an abort. */
export const staysFrozen = algorithm('lai-yang-stays-frozen', 'kernel', (options) =>
  changed(new KernelParticipant(options, { waitsForRelease: false }), (effects) =>
    effects.some(({ kind }) => kind === 'discard') ? effects.filter(({ kind }) => kind !== 'thaw') : effects,
  ),
);

/** Participants that never look at the clock: only the dead man's switch, or the coordinator, can end their rounds. */
export const clockless = algorithm('lai-yang-clockless', 'kernel', (options) => {
  const inner = new KernelParticipant(options, { waitsForRelease: true });
  return {
    step: (input) => (input.kind === 'tick' ? [] : inner.step(input)),
    get busy() {
      return inner.busy;
    },
  };
});

/** Rounds that never look at the clock, of participants that never tell how they fared. */
export const neverEnds: Algorithm = {
  ...algorithm('lai-yang-never-ends', 'kernel', (options) =>
    changed(new KernelParticipant(options, { waitsForRelease: false }), (effects) =>
      effects.filter(({ kind }) => kind !== 'report'),
    ),
  ),
  round(options) {
    const inner = new TwoPhaseRound(options, { releaseTogether: false });
    return {
      step: (input) => (input.kind === 'tick' ? [] : inner.step(input)),
      get phase() {
        return inner.phase;
      },
      get reason() {
        return inner.reason;
      },
    };
  },
};

/** Chandy-Lamport that takes no notice of the epoch with which a channel is opened, or accepted. */
export const newEpochIgnored = algorithm('chandy-lamport-new-epoch-ignored', 'proxy', (options) => {
  const inner = new ChandyLamportParticipant(options);
  return {
    step: (input) => inner.step(input.kind === 'opened' ? { ...input, epoch: 0 } : input),
    get busy() {
      return inner.busy;
    },
  };
});

/** Koo-Toueg that forgets one of those whom a checkpoint depends upon: its sending is recorded nowhere. */
export const dependencyForgotten: MinimalAlgorithm = {
  ...kooToueg,
  name: 'koo-toueg-dependency-forgotten',
  cohort: (received, receivedBefore) => new Map([...kooToueg.cohort(received, receivedBefore)].slice(1)),
};

/** Koo-Toueg that does not compare labels: whoever is asked takes part. */
export const everybodyFollows: MinimalAlgorithm = {
  ...kooToueg,
  name: 'koo-toueg-everybody-follows',
  cohort: (received) => received,
  mustFollow: () => true,
};
