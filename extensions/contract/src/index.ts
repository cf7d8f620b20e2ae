export type * from './api.ts';
export { Client, StudioError, type ClientOptions } from './client.ts';
export { parseEvents, type ServerEvent } from './events.ts';
