import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, StudioError } from '../src/client.ts';
import { parseEvents } from '../src/events.ts';

const SESSION = {
  actor: { name: 'ada', kind: 'person', admin: false, on_behalf_of: null },
  project: { id: 'prj_1' },
  projects: [],
  xsrf: 'token',
  version: '0'
};

/** A service that answers in turn, and what it was asked. */
function service(...answers: (() => Response)[]): { fetch: typeof fetch; asked: Request[] } {
  const asked: Request[] = [];
  const fake: typeof fetch = (input, init) => {
    const request = new Request(new URL(input as string, 'http://studio'), {
      ...init,
      signal: null
    });
    asked.push(request);
    if (request.url.endsWith('/api/v1/session')) {
      return Promise.resolve(Response.json(SESSION));
    }
    const answer = answers.shift();
    return answer ? Promise.resolve(answer()) : Promise.reject(new TypeError('down'));
  };
  return { fetch: fake, asked };
}

const stream = (text: string): Response => new Response(text, { status: 200 });
const event = (seq: number): string => `id: ${seq}\ndata: {"seq": ${seq}}\n\n`;

test('events that came in pieces are put together', () => {
  const first = parseEvents('id: 1\r\ndata: {"a":\r\ndata: 1}\r\n\r\n: ping\n\nid: 2\nda');
  assert.deepEqual(first.events, [{ id: '1', event: 'message', data: '{"a":\n1}' }]);
  const second = parseEvents(`${first.rest}ta: x\nevent: end\n\n`);
  assert.deepEqual(second.events, [{ id: '2', event: 'end', data: 'x' }]);
  assert.equal(second.rest, '');
});

test('a write carries the project, the xsrf token and a key', async () => {
  const { fetch, asked } = service(() => Response.json({ id: 'job_1' }));
  await new Client({ base: '/s/', fetch }).post('/api/v1/pipelines:cancel', { id: 'job_1' });
  const sent = asked.at(-1)!;
  assert.equal(sent.url, 'http://studio/s/api/v1/pipelines:cancel');
  assert.equal(sent.headers.get('X-Workbench-Project'), 'prj_1');
  assert.equal(sent.headers.get('X-XSRFToken'), 'token');
  assert.match(sent.headers.get('Idempotency-Key') ?? '', /^[0-9a-f-]{36}$/);
});

test('a change and a deletion name what they are about, and are writes too', async () => {
  const { fetch, asked } = service(
    () => Response.json({ id: 'cmt 1' }),
    () => Response.json({ id: 'cmt 1' })
  );
  const client = new Client({ base: '/s/', fetch });
  await client.patch('/api/v1/comments/comments/{id}', { id: 'cmt 1' }, { text: 'Yes.' });
  await client.delete('/api/v1/comments/comments/{id}', { id: 'cmt 1' }, { key: 'once' });
  const [changed, deleted] = asked.slice(-2);
  assert.equal(changed!.url, 'http://studio/s/api/v1/comments/comments/cmt%201');
  assert.deepEqual([changed!.method, deleted!.method], ['PATCH', 'DELETE']);
  assert.deepEqual(await changed!.json(), { text: 'Yes.' });
  assert.equal(deleted!.headers.get('Idempotency-Key'), 'once');
  assert.equal(deleted!.headers.get('X-XSRFToken'), 'token');
});

test('an error of the service is its sentence and its hint', async () => {
  const { fetch } = service(() =>
    Response.json(
      { title: 'NotFound', status: 404, detail: 'No product x.', hint: 'List them.' },
      { status: 404 }
    )
  );
  const asked = new Client({ base: '/s/', fetch }).get('/api/v1/data/products/{id}', {
    path: { id: 'x' }
  });
  await assert.rejects(
    asked,
    (error: unknown) =>
      error instanceof StudioError &&
      error.message === 'No product x.' &&
      error.hint === 'List them.' &&
      error.status === 404
  );
});

test('a broken stream goes on where it stopped, and ends when the service says so', async () => {
  const { fetch, asked } = service(
    () => stream(event(1) + event(2)),
    () => stream(`${event(3)}event: end\ndata: {}\n\n`)
  );
  const seen: number[] = [];
  const lines = new Client({ base: '/s/', fetch }).follow('/api/v1/pipelines:log', {
    query: { id: 'job_1' },
    signal: new AbortController().signal
  });
  for await (const line of lines) {
    seen.push(line.seq);
  }
  assert.deepEqual(seen, [1, 2, 3]);
  assert.equal(asked.at(-1)!.headers.get('Last-Event-ID'), '2');
});

test('a problem in a stream is thrown', async () => {
  const { fetch } = service(() =>
    stream('event: problem\ndata: {"status": 403, "title": "Forbidden", "detail": "No.", "hint": ""}\n\n')
  );
  const lines = new Client({ base: '/s/', fetch }).follow('/api/v1/audit:follow', {
    query: {},
    signal: new AbortController().signal
  });
  await assert.rejects(lines.next(), /No\./);
});
