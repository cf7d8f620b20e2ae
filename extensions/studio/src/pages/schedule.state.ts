/** Times that come again, as people say them and as cron does. */

export const EVERY = ['hour', 'day', 'weekday', 'week', 'month', 'other'] as const;
export type Every = (typeof EVERY)[number];

export interface Times {
  every: Every;
  /** `HH:MM` on the schedule's clock; of an hour the minutes alone count. */
  at: string;
  /** 0 is Sunday. */
  weekday: number;
  /** Of the month, from 1: to 28, which every month has. */
  day: number;
  /** The cron line itself, where nothing else says it. */
  line: string;
}

export const MORNING: Times = { every: 'weekday', at: '06:30', weekday: 1, day: 1, line: '30 6 * * 1-5' };

/** The cron line of these times: minute, hour, day of the month, month, day of the week. */
export function cronOf({ every, at, weekday, day, line }: Times): string {
  const [hour = 0, minute = 0] = at.split(':').map(part => Number.parseInt(part, 10) || 0);
  switch (every) {
    case 'hour':
      return `${minute} * * * *`;
    case 'day':
      return `${minute} ${hour} * * *`;
    case 'weekday':
      return `${minute} ${hour} * * 1-5`;
    case 'week':
      return `${minute} ${hour} * * ${weekday}`;
    case 'month':
      return `${minute} ${hour} ${day} * *`;
    case 'other':
      return line.trim();
  }
}

/** What a cron line says, if it is one that `cronOf` makes; the line itself if not. */
export function timesOf(line: string): Times {
  const other: Times = { ...MORNING, every: 'other', line };
  const [minute = '', hour = '', day = '', month = '', weekday = '', ...more] = line.trim().split(/\s+/);
  const whole = (text: string, most: number): boolean =>
    /^\d{1,2}$/.test(text) && Number(text) <= most;
  if (more.length > 0 || month !== '*' || !whole(minute, 59)) {
    return other;
  }
  const two = (text: string): string => text.padStart(2, '0');
  if (hour === '*' && day === '*' && weekday === '*') {
    return { ...other, every: 'hour', at: `00:${two(minute)}` };
  }
  if (!whole(hour, 23)) {
    return other;
  }
  const at = `${two(hour)}:${two(minute)}`;
  if (day === '*' && weekday === '*') {
    return { ...other, every: 'day', at };
  }
  if (day === '*' && weekday === '1-5') {
    return { ...other, every: 'weekday', at };
  }
  if (day === '*' && whole(weekday, 6)) {
    return { ...other, every: 'week', at, weekday: Number(weekday) };
  }
  if (weekday === '*' && whole(day, 28) && Number(day) > 0) {
    return { ...other, every: 'month', at, day: Number(day) };
  }
  return other;
}

/** What a page is to schedule, from its options; null if there is nothing, or it cannot be read. */
export function wanted(
  options: Readonly<Record<string, string>>
): { action: string; request: Record<string, unknown> } | null {
  try {
    const request: unknown = JSON.parse(options.request ?? '');
    return options.action && typeof request === 'object' && request !== null && !Array.isArray(request)
      ? { action: options.action, request: request as Record<string, unknown> }
      : null;
  } catch {
    return null;
  }
}

/** The clocks of the world, the reader's own first. */
export function clocks(own: string, known: readonly string[]): string[] {
  return [...new Set([own || 'UTC', 'UTC', ...known])];
}
