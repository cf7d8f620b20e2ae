export type * from './api.ts';
export type { Line, Streams } from './streams.ts';
export { Client, StudioError, type ClientOptions } from './client.ts';
export { parseEvents, type ServerEvent } from './events.ts';
