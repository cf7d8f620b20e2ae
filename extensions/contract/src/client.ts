/** One client of the Studio's REST face. Its types are the service's own (api.ts). */

import type { Blob as StudioBlob, paths, Session } from './api.ts';
import { parseEvents } from './events.ts';
import type { Streams } from './streams.ts';

type Operation<P extends keyof paths, M extends 'get' | 'post' | 'patch' | 'delete'> = NonNullable<paths[P][M]>;
type Responses<O> = O extends { responses: infer R } ? R[keyof R & (200 | 201 | 202)] : never;
type Content<R, T extends string> = R extends { content: infer C } ? C[keyof C & T] : never;
type Args<O, K extends 'path' | 'query'> = O extends { parameters: { [_ in K]?: infer A } }
  ? NonNullable<A>
  : Record<string, never>;

/** Paths that answer JSON to a GET. */
export type ReadPath = {
  [P in keyof paths]: Content<Responses<Operation<P, 'get'>>, 'application/json'> extends never
    ? never
    : P;
}[keyof paths];
/** Paths that take a POST. */
export type CallPath = {
  [P in keyof paths]: Operation<P, 'post'> extends never ? never : P;
}[keyof paths];
/** Paths that take a PATCH. */
export type ChangePath = {
  [P in keyof paths]: Operation<P, 'patch'> extends never ? never : P;
}[keyof paths];
/** Paths that take a DELETE. */
export type DeletePath = {
  [P in keyof paths]: Operation<P, 'delete'> extends never ? never : P;
}[keyof paths];
/** Paths that answer a stream of Records. */
export type StreamPath = keyof Streams & keyof paths;

export type Read<P extends ReadPath> = Content<Responses<Operation<P, 'get'>>, 'application/json'>;
export type Told<P extends CallPath> = Content<Responses<Operation<P, 'post'>>, 'application/json'>;
export type Changed<P extends ChangePath> = Content<
  Responses<Operation<P, 'patch'>>,
  'application/json'
>;
export type Deleted<P extends DeletePath> = Content<
  Responses<Operation<P, 'delete'>>,
  'application/json'
>;
export type Streamed<P extends StreamPath> = Streams[P];
type Asked<O> = O extends { requestBody?: infer B }
  ? Content<NonNullable<B>, 'application/json'>
  : never;
/** What a POST takes; an action without parameters takes an empty object. */
export type Body<P extends CallPath> = [Asked<Operation<P, 'post'>>] extends [never]
  ? Record<string, never>
  : Asked<Operation<P, 'post'>>;

/** An error in the Studio's one shape: a sentence, and what to do about it. */
export class StudioError extends Error {
  readonly status: number;
  readonly title: string;
  /** What to do about it; may be empty. */
  readonly hint: string;
  /** What an administrator finds the log by; may be empty. */
  readonly trace: string;

  constructor(status: number, title: string, detail: string, hint: string, trace = '') {
    super(detail);
    this.name = 'StudioError';
    this.status = status;
    this.title = title;
    this.hint = hint;
    this.trace = trace;
  }

  static async of(response: Response): Promise<StudioError> {
    const text = await response.text().catch(() => '');
    try {
      const body = JSON.parse(text) as Record<string, unknown>;
      if (typeof body.detail === 'string') {
        return new StudioError(
          response.status,
          typeof body.title === 'string' ? body.title : 'Error',
          body.detail,
          typeof body.hint === 'string' ? body.hint : '',
          typeof body.trace === 'string' ? body.trace : ''
        );
      }
    } catch {
      // Not the service's own answer: a proxy's page, answered below.
    }
    return response.status === 401 || response.status === 403
      ? new StudioError(response.status, 'Unauthenticated', 'You are not signed in.', '')
      : new StudioError(response.status, 'Unavailable', 'The Studio service does not answer.', '');
  }
}

export interface ClientOptions {
  /** Where the service lives, with a slash at the end: `/services/studio/`. */
  base: string;
  /** Id or name; empty for the one the service chooses. */
  project?: string;
  fetch?: typeof fetch;
}

const CHUNK = 8 * 1024 * 1024;
const RETRY_MS = [500, 1000, 2000, 5000, 10000, 30000];

/** Talks to the service as the person who is signed in to the hub. */
export class Client {
  readonly base: string;
  readonly project: string;
  private readonly fetch: typeof fetch;
  private readonly shared: { session: Promise<Session> | null };

  constructor(options: ClientOptions, shared?: { session: Promise<Session> | null }) {
    this.base = options.base;
    this.project = options.project ?? '';
    this.fetch = options.fetch ?? ((...args) => globalThis.fetch(...args));
    this.shared = shared ?? { session: null };
  }

  /** The same client in another project; they share one session. */
  in(project: string): Client {
    return new Client({ base: this.base, project, fetch: this.fetch }, this.shared);
  }

  /** Who is signed in. Signs in through the hub if the cookie is missing or old. */
  session(): Promise<Session> {
    this.shared.session ??= this.signIn().catch((error: unknown) => {
      this.shared.session = null;
      throw error;
    });
    return this.shared.session;
  }

  /** Forget the session: the next call asks again. */
  forget(): void {
    this.shared.session = null;
  }

  async get<P extends ReadPath>(
    path: P,
    options: {
      path?: Args<Operation<P, 'get'>, 'path'>;
      query?: Args<Operation<P, 'get'>, 'query'>;
      signal?: AbortSignal;
    } = {}
  ): Promise<Read<P>> {
    const url = this.url(path, options.path, options.query);
    const response = await this.send(url, { signal: options.signal ?? null });
    return (await response.json()) as Read<P>;
  }

  async post<P extends CallPath>(
    path: P,
    body: Body<P>,
    options: { signal?: AbortSignal; key?: string } = {}
  ): Promise<Told<P>> {
    return (await this.write('POST', this.url(path), body, options)) as Told<P>;
  }

  async patch<P extends ChangePath>(
    path: P,
    parts: Args<Operation<P, 'patch'>, 'path'>,
    body: Asked<Operation<P, 'patch'>>,
    options: { signal?: AbortSignal; key?: string } = {}
  ): Promise<Changed<P>> {
    return (await this.write('PATCH', this.url(path, parts), body, options)) as Changed<P>;
  }

  async delete<P extends DeletePath>(
    path: P,
    parts: Args<Operation<P, 'delete'>, 'path'>,
    options: { signal?: AbortSignal; key?: string } = {}
  ): Promise<Deleted<P>> {
    return (await this.write('DELETE', this.url(path, parts), null, options)) as Deleted<P>;
  }

  /**
   * Records as they come, resumed where a broken connection left them. It ends when the service
   * says that nothing more will come (a finished job), and when `signal` is aborted.
   */
  async *follow<P extends StreamPath>(
    path: P,
    options: {
      query: Args<Operation<P, 'get'>, 'query'>;
      signal: AbortSignal;
      onBroken?: (error: unknown) => void;
    }
  ): AsyncGenerator<Streamed<P>> {
    let last = '';
    let failures = 0;
    let ended = false;
    const stopped = (): boolean => options.signal.aborted;
    while (!stopped()) {
      try {
        const response = await this.send(this.url(path, undefined, options.query), {
          headers: { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': last } : {}) },
          signal: options.signal
        });
        const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
        let text = '';
        for (;;) {
          const { value, done } = await reader.read();
          if (done) {
            break;
          }
          failures = 0;
          const parsed = parseEvents(text + value);
          text = parsed.rest;
          for (const event of parsed.events) {
            last = event.id || last;
            const record: unknown = JSON.parse(event.data);
            if (event.event === 'problem') {
              const { status, title, detail, hint, trace } = record as Problem;
              throw new StudioError(status, title, detail, hint, trace);
            }
            if (event.event === 'end') {
              ended = true;
            } else {
              yield record as Streamed<P>;
            }
          }
        }
        if (ended) {
          return;
        }
      } catch (error) {
        if (stopped()) {
          return;
        }
        if (error instanceof StudioError && [400, 403, 404].includes(error.status)) {
          throw error;
        }
        options.onBroken?.(error);
      }
      await pause(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]!, options.signal);
    }
  }

  /** Send a file in pieces; a broken connection goes on where it stopped. */
  async upload(
    file: File,
    options: { onProgress?: (sent: number) => void; signal?: AbortSignal } = {}
  ): Promise<StudioBlob> {
    let blob = await this.post(
      '/api/v1/data:upload',
      {
        name: file.name,
        size: file.size,
        media_type: file.type || 'application/octet-stream'
      },
      options
    );
    const { project } = await this.session();
    const at = `${this.base}api/v1/blobs/${encodeURIComponent(this.project || project.id)}/${blob.id}`;
    let failures = 0;
    while (blob.received < blob.size) {
      try {
        const piece = file.slice(blob.received, blob.received + CHUNK);
        const response = await this.send(`${at}?offset=${blob.received}`, {
          method: 'PUT',
          body: piece,
          headers: { 'Content-Type': 'application/octet-stream' },
          signal: options.signal ?? null
        });
        blob = (await response.json()) as StudioBlob;
        failures = 0;
      } catch (error) {
        const again = !(error instanceof StudioError) || [409, 502, 503].includes(error.status);
        if (options.signal?.aborted || !again || failures >= 5) {
          throw error;
        }
        await pause(RETRY_MS[failures++]!, options.signal);
        const response = await this.send(`${at}/state`, { signal: options.signal ?? null });
        blob = (await response.json()) as StudioBlob;
      }
      options.onProgress?.(blob.received);
    }
    return blob;
  }

  /** The address a blob downloads from. */
  href(blob: StudioBlob): string {
    return /^https?:/.test(blob.url) ? blob.url : this.base + blob.url.replace(/^\//, '');
  }

  private async write(
    method: string,
    url: string,
    body: unknown,
    options: { signal?: AbortSignal; key?: string }
  ): Promise<unknown> {
    const response = await this.send(url, {
      method,
      body: body === null ? null : JSON.stringify(body),
      headers: {
        ...(body === null ? {} : { 'Content-Type': 'application/json' }),
        'Idempotency-Key': options.key ?? crypto.randomUUID()
      },
      signal: options.signal ?? null
    });
    return response.json();
  }

  private url(path: string, parts?: object, query?: object): string {
    let filled = path;
    for (const [key, value] of Object.entries(parts ?? {})) {
      filled = filled.replace(`{${key}}`, encodeURIComponent(String(value)));
    }
    const asked = new URLSearchParams();
    for (const [key, value] of Object.entries(query ?? {})) {
      if (value !== undefined && value !== null) {
        asked.set(key, String(value));
      }
    }
    const text = asked.toString();
    return this.base + filled.replace(/^\//, '') + (text ? `?${text}` : '');
  }

  private async send(url: string, init: RequestInit, again = true): Promise<Response> {
    const session = await this.session();
    const headers = new Headers(init.headers);
    headers.set('X-Workbench-Project', this.project || session.project.id);
    if (init.method && init.method !== 'GET') {
      headers.set('X-XSRFToken', session.xsrf);
    }
    const response = await this.reach(url, { ...init, headers });
    if (response.status === 401 && again) {
      this.forget();
      return this.send(url, init, false);
    }
    if (!response.ok) {
      throw await StudioError.of(response);
    }
    return response;
  }

  private async signIn(): Promise<Session> {
    const ask = () => this.reach(`${this.base}api/v1/session`, {});
    let response = await ask();
    if (response.status === 401 || response.status === 403) {
      await this.reach(`${this.base}signin`, { redirect: 'follow' });
      response = await ask();
    }
    if (!response.ok) {
      throw await StudioError.of(response);
    }
    return (await response.json()) as Session;
  }

  private async reach(url: string, init: RequestInit): Promise<Response> {
    try {
      return await this.fetch(url, { ...init, credentials: 'same-origin' });
    } catch (error) {
      if (init.signal?.aborted) {
        throw error;
      }
      throw new StudioError(503, 'Unavailable', 'The Studio service does not answer.', '');
    }
  }
}

interface Problem {
  title: string;
  status: number;
  detail: string;
  hint: string;
  trace: string;
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
