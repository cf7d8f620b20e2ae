/** Server-sent events, as far as the Studio sends them (WHATWG HTML, section 9.2). */

export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

/** Splits a growing text into whole events and the rest that has not ended yet. */
export function parseEvents(text: string): { events: ServerEvent[]; rest: string } {
  const blocks = text.replaceAll('\r\n', '\n').split('\n\n');
  const rest = blocks.pop() ?? '';
  const events: ServerEvent[] = [];
  for (const block of blocks) {
    const found: ServerEvent = { id: '', event: 'message', data: '' };
    const data: string[] = [];
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      if (colon === 0) {
        continue;
      }
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'data') {
        data.push(value);
      } else if (field === 'id') {
        found.id = value;
      } else if (field === 'event') {
        found.event = value;
      }
    }
    if (data.length > 0) {
      events.push({ ...found, data: data.join('\n') });
    }
  }
  return { events, rest };
}
