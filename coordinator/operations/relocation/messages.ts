import type { NetworkPlan } from '../../../src/rpc/generated/swarmcut/NetworkPlan.ts';
import type { ProxyPlan } from '../../../src/rpc/generated/swarmcut/ProxyPlan.ts';
import type { TaskPlan } from './plans.ts';

/** The generated message types want arrays that may be changed. */
export function networkMessage(plan: TaskPlan | undefined): NetworkPlan {
  if (plan === undefined) return {};
  const { subnets, ownAddresses, rewrites, close, aliases, unsent, former, bound } = plan.network;
  return {
    subnets: [...subnets],
    ownAddresses: [...ownAddresses],
    rewrites: [...rewrites],
    close: [...close],
    aliases: [...aliases],
    unsent: [...unsent],
    former: [...former],
    bound: [...bound],
  };
}

/** As {@link networkMessage}. */
export function proxyMessage({ stack, epoch, streams, previousAddresses }: NonNullable<TaskPlan['proxy']>): ProxyPlan {
  return { stack, epoch, streams: [...streams], previousAddresses: [...previousAddresses] };
}
