import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Box } from '../src/state/arrange.ts';
import { aside, path } from '../src/state/route.ts';
import { size } from '../src/tokens.ts';

const PITCH = size.node.height + size.gap.y;
const card = (row: number, x = 0): Box => ({
  x,
  y: row * PITCH,
  width: size.node.width,
  height: size.node.height
});

test('a connection goes straight to the next card, and round those it passes', () => {
  const column = [0, 1, 2, 3, 4].map(row => card(row));
  assert.equal(aside(column[0]!, column[1]!, column), null);
  const far = aside(column[0]!, column[3]!, column)!;
  assert.ok(far < 0, 'left of the cards');
  assert.ok(aside(column[0]!, column[4]!, column)! < far, 'two do not lie on each other');
  assert.equal(aside(column[0]!, column[4]!, [column[0]!, column[4]!]), null, 'nothing is between');
});

test('it goes round on the shorter side', () => {
  const shifted = [card(0), card(1, -70), card(2, -70), card(3)];
  assert.ok(aside(shifted[0]!, shifted[3]!, shifted)! > size.node.width - 70);
});

test('the line begins and ends at the cards', () => {
  for (const round of [null, -40]) {
    const { d } = path([0, 0], [10, 300], round);
    assert.ok(d.startsWith('M0,0C') && d.endsWith(' 10,300'));
  }
});
