export { fetchParts, PeerAgents } from './fetch.ts';
export type { FetchOptions, PartSource } from './fetch.ts';
export { DirectWays } from './direct-way.ts';
export { LateParts } from './late-parts.ts';
export { PartsListener } from './listener.ts';
export { transferPort } from './protocol.ts';
export { serveFetch } from './serve.ts';
export { Tickets } from './tickets.ts';
