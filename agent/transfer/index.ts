export { fetchParts, PeerAgents } from './fetch.ts';
export type { FetchOptions, PartSource } from './fetch.ts';
export { serveFetch } from './serve.ts';
export { Tickets } from './tickets.ts';
