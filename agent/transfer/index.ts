export { fetchParts, PeerAgents } from './fetch.ts';
export type { FetchOptions, PartSource } from './fetch.ts';
export { DirectWays } from './direct/ways.ts';
export { LateParts } from './late-parts.ts';
export { PartsListener } from './direct/listener.ts';
export { transferPort } from './direct/protocol.ts';
export { unreachedListeners } from './direct/reach.ts';
export { serveFetch } from './serve.ts';
export { Tickets } from './tickets.ts';
