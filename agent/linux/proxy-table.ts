/** What the agent, which puts the proxy interceptor's rules in (agent/network/proxy-rules.ts), and the sidecar, which feeds their sets, agree on. */
export const PROXY_TABLE = 'ip swarmcut_proxy';

/** Where the sidecar listens in the task's namespace. `capture`: what TPROXY brings. `tunnel`: other sidecars. */
export const PORTS = { capture: 15_071, tunnel: 15_072 } as const;

/** Packet marks. High bits that neither the engine uses nor the rewriting of restored connections (agent/network/rewriting/rewrite-rules.ts). */
export const MARKS = {
  /** To be routed to `lo`, and there to the sidecar. */
  capture: 0x5d070001,
  /** The sidecar's own packets to other sidecars. The kernel interceptor's block lets them pass. */
  sidecar: 0x5d070010,
  /** Came in from outside, not for the sidecar; replies carry it too. */
  direct: 0x5d070020,
  /** The sidecar's packets to its application. They go over `lo`, whoever has their address now. */
  app: 0x5d070030,
} as const;
