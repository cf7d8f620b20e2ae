import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Comment, Mention, Thread } from '@nexus-workbench/contract';
import {
  arrange,
  arrived,
  baseName,
  brief,
  complete,
  completion,
  firstLine,
  mayChange,
  mayDelete,
  openCounts,
  pieces
} from '../src/comments/state.ts';

const AT = '2026-01-01T00:00:00Z';
const comment = (id: string, more: Partial<Comment> = {}): Comment => ({
  id,
  thread: id,
  made_by: 'person:ada',
  text: 'Why?',
  mentions: [],
  made_at: AT,
  edited_at: null,
  deleted_at: null,
  ...more
});
const thread = (id: string, part: string, resolved = false): Thread => ({
  id,
  anchor: { kind: 'notebook', document: 'a.ipynb', part },
  quote: '',
  comments: [comment(id)],
  resolved_at: resolved ? AT : null,
  resolved_by: resolved ? 'person:bob' : null
});

const golden = JSON.parse(
  readFileSync(new URL('../../../tests/golden/texts/mentions.json', import.meta.url), 'utf8')
) as { people: string[]; cases: { text: string; named: string[]; shown: string[] }[] };

for (const { text, named, shown } of golden.cases) {
  test(`a text is cut as the service cuts it: ${JSON.stringify(text.slice(0, 24))}`, () => {
    const found = pieces(text, golden.people);
    assert.deepEqual(
      found.map(one => one.text),
      shown
    );
    assert.deepEqual([...new Set(found.flatMap(one => one.person ?? []))], named);
  });
}

test('threads stand in the order of the cells, those of cells that are gone last', () => {
  const cells = ['c1', 'c2', 'c3'].map(id => ({ id, label: `of ${id}` }));
  const threads = [
    thread('t1', 'c3'),
    thread('t2', 'lost'),
    thread('t3', 'c1'),
    thread('t4', ''),
    thread('t5', 'c1', true),
    thread('t6', 'c3')
  ];
  const shown = (resolved: boolean) =>
    arrange(threads, cells, resolved).map(group => [
      group.kind,
      group.number,
      group.threads.map(one => one.id).join()
    ]);
  assert.deepEqual(shown(false), [
    ['whole', 0, 't4'],
    ['cell', 1, 't3'],
    ['cell', 3, 't1,t6'],
    ['gone', 0, 't2']
  ]);
  assert.deepEqual(shown(true)[1], ['cell', 1, 't3,t5']);
  assert.deepEqual(arrange([], cells, true), []);
});

test('open threads are counted by cell', () => {
  const threads = [thread('1', 'c1'), thread('2', 'c1'), thread('3', 'c2', true), thread('4', '')];
  assert.deepEqual([...openCounts(threads)], [['c1', 2]]);
});

test('a name is completed where the caret is', () => {
  const members = ['ada', 'adam', 'bob', 'vic.ada'];
  assert.deepEqual(completion('Ask @ad please', 7, members), {
    from: 4,
    names: ['ada', 'adam', 'vic.ada']
  });
  assert.deepEqual(completion('@', 1, members)?.names, members);
  assert.equal(completion('Ask ada', 7, members), null);
  assert.equal(completion('mail x@ad', 9, members), null);
  assert.equal(completion('@zoe', 4, members), null);
  assert.equal(completion('@ada now', 8, members), null);
  assert.deepEqual(complete('Ask @ad please', 7, 4, 'ada'), { text: 'Ask @ada please', caret: 8 });
  assert.deepEqual(complete('@b', 2, 0, 'bob'), { text: '@bob ', caret: 5 });
});

test('own words are changed, others’ only deleted by an owner', () => {
  const mine = comment('c');
  assert.ok(mayChange(mine, 'ada') && mayDelete(mine, 'ada', 'viewer'));
  assert.ok(!mayChange(mine, 'bob') && !mayDelete(mine, 'bob', 'editor'));
  assert.ok(mayDelete(mine, 'bob', 'owner'));
  const gone = comment('c', { deleted_at: AT });
  assert.ok(!mayChange(gone, 'ada') && !mayDelete(gone, 'bob', 'owner'));
});

test('only mentions that were not known are news', () => {
  const mention = (id: string): Mention => ({
    comment: comment(id),
    anchor: { kind: 'notebook', document: 'a.ipynb', part: '' },
    seen_at: null
  });
  const found = arrived([mention('1'), mention('2')], new Set(['1']));
  assert.deepEqual(
    found.map(one => one.comment.id),
    ['2']
  );
});

test('texts are made short', () => {
  assert.equal(firstLine('\n  \n## A title\nmore'), 'A title');
  assert.equal(firstLine('#comment\nx'), '#comment');
  assert.equal(firstLine(''), '');
  assert.equal(brief('one\n two'), 'one two');
  assert.equal(brief('x'.repeat(90)).length, 80);
  assert.equal(baseName('notes/deep/a.ipynb'), 'a.ipynb');
});
