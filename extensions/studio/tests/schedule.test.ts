import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EVERY, MORNING, clocks, cronOf, timesOf, wanted } from '../src/pages/schedule.state.ts';

test('times become a cron line, and a cron line times', () => {
  const all = { every: 'day', at: '06:05', weekday: 3, day: 28, line: '*/5 * * * *' } as const;
  const lines = EVERY.map(every => cronOf({ ...all, every }));
  assert.deepEqual(lines, [
    '5 * * * *',
    '5 6 * * *',
    '5 6 * * 1-5',
    '5 6 * * 3',
    '5 6 28 * *',
    '*/5 * * * *'
  ]);
  for (const line of lines) {
    assert.equal(cronOf(timesOf(line)), line);
  }
  assert.deepEqual(
    lines.map(line => timesOf(line).every),
    [...EVERY]
  );
});

test('a line that says something else stays as it is', () => {
  for (const line of ['0 6 31 * *', '0 6 1 1 *', '0 6 * * 7', '0 6 * * MON', '60 6 * * *', '0 24 * * *', '', 'x']) {
    assert.equal(timesOf(line).every, 'other', line);
    assert.equal(cronOf(timesOf(line)), line);
  }
});

test('what is not given is not scheduled', () => {
  assert.deepEqual(wanted({ action: 'notebooks.run', request: '{"notebook":"n.ipynb"}' }), {
    action: 'notebooks.run',
    request: { notebook: 'n.ipynb' }
  });
  for (const options of [{}, { action: 'a' }, { request: '{}' }, { action: 'a', request: '[1]' }, { action: 'a', request: '{' }]) {
    assert.equal(wanted(options as Record<string, string>), null);
  }
});

test('the own clock comes first, and none twice', () => {
  assert.deepEqual(clocks('Europe/Rome', ['Africa/Cairo', 'Europe/Rome', 'UTC']), [
    'Europe/Rome',
    'UTC',
    'Africa/Cairo'
  ]);
  assert.deepEqual(clocks('', []), ['UTC']);
  assert.equal(cronOf(MORNING), '30 6 * * 1-5');
});
